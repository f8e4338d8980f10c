"""Whom a host asks for names, and whom pods on it can ask: the one rule, for the gather script and for the node's watch.

A program on the loopback (systemd-resolved, dnsmasq, unbound) answers the host alone. Whom it asks in turn stands in a
file of whoever knows: resolved, NetworkManager, resolvconf, or the DHCP client's lease. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address

NAMESERVER = re.compile(r"^\s*nameserver\s+(\S+)", re.M)
LEASED = re.compile(r"^\s*option domain-name-servers\s+([^;]+);", re.M)


def nameservers(text: str) -> tuple[str, ...]:
    """The addresses that a resolv.conf names, or the last lease of a file of leases; each once, in order."""
    leased = LEASED.findall(text)
    found = NAMESERVER.findall(text) or (leased[-1].replace(",", " ").split() if leased else [])
    return tuple(dict.fromkeys(address for address in found if _readable(address)))


def for_pods(resolv_conf: str, upstreams: Iterable[str]) -> tuple[str, ...]:
    """Whom pods can ask, from the texts of resolv.conf and of what there is of layout.UPSTREAM_RESOLVERS.

    What resolv.conf itself names beyond the loopback; else what the first of the others names; else the loopback's.
    """
    own = nameservers(resolv_conf)
    for found in (own, *map(nameservers, upstreams)):
        if reached := tuple(address for address in found if not on_loopback(address)):
            return reached
    return own


def _readable(address: str) -> bool:
    try:
        ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return True


def on_loopback(address: str) -> bool:
    """Whether only the host itself can ask there; a zone, as in fe80::1%eth0, may follow."""
    return ip_address(address.partition("%")[0]).is_loopback
