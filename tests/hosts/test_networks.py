"""A site that uses the networks which a node has by default: others are chosen before the first start, and stay."""

from __future__ import annotations

import pytest

from tests.hosts.test_preflight import checked
from tests.rig.client import Client
from tests.rig.host import RigHost

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(900)]
SECOND_CARD = """
ip link add case0 type veth peer name case1
ip addr add 10.42.0.200/24 dev case0; ip addr add 10.43.0.10/16 dev case1
ip link set case0 up; ip link set case1 up
"""
CHOSEN = {"pods": "172.20.0.0/16", "services": "172.21.0.0/16", "builds": "172.22.0.0/16"}


def test_a_member_lives_beside_a_network_that_has_its_default_addresses(
    fresh_host: RigHost, client: Client
) -> None:
    fresh_host.exec(["sh", "-ec", SECOND_CARD])
    verdict, _, fix = checked(client, fresh_host)["BBX-H18"]
    assert (verdict, "`networks` in the config" in fix) == ("fail", True)

    done = client.install(fresh_host, "--json", networks=CHOSEN).must()  # with a build and a launch
    assert done.result["launches"]
    assert client.install(fresh_host, "--json", networks=CHOSEN).must().result["changed"] == []
    routes = fresh_host.exec(["ip", "-4", "route"])
    assert "172.20." in routes
    assert "172.22." in routes

    refused = client.install(fresh_host, "--json").must(3)
    assert "since the first start" in refused.stdout
