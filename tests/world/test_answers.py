"""Where a member is looked for that no public DNS knows: the first address that somebody outside can reach."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from binderbox.world.answers import HostAnswers

INSIDE = "10.0.2.15"  # behind NAT: the address of the default route, which nobody outside reaches


def way(
    domain: str = "binder.test", *, given: str | None = None, ssh: str = "", ingress: str | None = None
) -> str | None:
    host: Any = SimpleNamespace(given_address=given, address=given or ssh)
    facts: Any = SimpleNamespace(address=INSIDE)
    member: Any = SimpleNamespace(domain=domain, ingress_ip=ingress)
    return HostAnswers(host, facts, member).way


@pytest.mark.parametrize(
    ("known", "found"),
    [
        ({"given": "192.0.2.1", "ssh": "192.0.2.2", "ingress": "192.0.2.3"}, "192.0.2.1"),
        ({"ssh": "192.0.2.2", "ingress": "192.0.2.3"}, "192.0.2.3"),
        ({"ssh": "192.0.2.2"}, "192.0.2.2"),
        ({"ssh": "vm.example"}, "vm.example"),
        ({}, INSIDE),  # through a jump host: what the host says of itself is all there is
        ({"domain": "demo.localhost", "ssh": "192.0.2.2"}, "127.0.0.1"),
        ({"domain": "localhost"}, "127.0.0.1"),
    ],
)  # fmt: skip
def test_where_a_member_without_public_dns_is_looked_for(known: dict[str, str], found: str) -> None:
    assert way(**known) == found


def test_one_that_dns_knows_is_looked_for_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: [()])
    assert way("binder.example.org", given="192.0.2.1") is None
