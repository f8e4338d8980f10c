"""Whom pods can ask for names, on hosts as providers make them."""

from __future__ import annotations

import pytest

from binderbox.decide.resolvers import for_pods, nameservers

STUB = "# by systemd-resolved\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch example.org\n"
LEASES = """
lease { interface "eth0"; option domain-name-servers 198.51.100.1; renew 1 2026/01/05 10:00:00; }
lease {
  interface "eth0";
  option domain-name-servers 198.51.100.7, 198.51.100.8;
}
"""


@pytest.mark.parametrize(
    ("resolv_conf", "upstreams", "wanted"),
    [
        ("nameserver 192.0.2.53\n", [], ("192.0.2.53",)),
        ("nameserver 169.254.169.254\n", [], ("169.254.169.254",)),  # Google, Oracle
        (STUB, ["nameserver 192.0.2.53\nnameserver 2001:db8::53\n"], ("192.0.2.53", "2001:db8::53")),
        ("nameserver 127.0.0.1\n", ["nameserver 192.0.2.53\n"], ("192.0.2.53",)),  # dnsmasq of NetworkManager
        ("nameserver ::1\n", ["nameserver 127.0.0.1\n", LEASES], ("198.51.100.7", "198.51.100.8")),
        ("nameserver 127.0.0.1\nnameserver 192.0.2.53\n", ["nameserver 192.0.2.9\n"], ("192.0.2.53",)),
        ("nameserver 127.0.0.1\n", [], ("127.0.0.1",)),  # unbound, which asks the roots: refused elsewhere
        ("# nobody\n", [], ()),
    ],
)
def test_pods_ask_whoever_is_not_on_the_hosts_loopback(
    resolv_conf: str, upstreams: list[str], wanted: tuple[str, ...]
) -> None:
    assert for_pods(resolv_conf, upstreams) == wanted


def test_what_is_no_address_is_left_out() -> None:
    text = "nameserver 192.0.2.53\nnameserver\n;nameserver 192.0.2.9\nnameserver dns.example\nnameserver fe80::1%eth0"
    assert nameservers(text) == ("192.0.2.53", "fe80::1%eth0")
