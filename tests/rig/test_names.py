"""The names of the rig's own Internet."""

import pytest

from tests.rig.internet.names import held

ADDRESSES = {"a.test": "192.0.2.1", "*.dhcp.test": "192.0.2.2", "own.dhcp.test": "192.0.2.3"}


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("a.test", "192.0.2.1"),
        ("b.a.test", None),
        ("dhcp.test", None),
        ("x.dhcp.test", "192.0.2.2"),
        ("api.github.com.dhcp.test", "192.0.2.2"),
        ("own.dhcp.test", "192.0.2.3"),
        ("test", None),
    ],
)
def test_a_wildcard_stands_for_every_name_below_it(name: str, address: str | None) -> None:
    assert held(ADDRESSES, name) == address
