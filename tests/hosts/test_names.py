"""A host that is renamed after its install, by hand, by cloud-init or by DHCP at a reboot, stays the same node."""

from __future__ import annotations

import pytest

from binderbox import layout
from tests.conftest import Installed
from tests.e2e.federated import kubectl
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]


def nodes(installed: Installed) -> dict[str, str]:
    """Name to pod network."""
    return {
        one["metadata"]["name"]: one["spec"]["podCIDR"]
        for one in kubectl(installed.host, "get", "nodes")["items"]
    }


def test_a_renamed_host_is_the_same_node(installed_host: Installed) -> None:
    host, client = installed_host.host, installed_host.client
    before, old = nodes(installed_host), host.exec(["uname", "-n"]).strip()
    host.exec(["sysctl", "-qw", "kernel.hostname=renamed-host"])
    try:
        host.exec(["systemctl", "restart", layout.K3S_UNIT], timeout_s=300)
        wait_until(
            lambda: client.binderbox(host, "check", "--json").code == 0, 180, "the member after a restart"
        )
        assert nodes(installed_host) == before
        assert client.install(host, "--json").must().result["changed"] == []
        client.binderbox(host, "launch", "--stop", "--json").must()
    finally:
        host.exec(["sysctl", "-qw", f"kernel.hostname={old}"])
    found = client.binderbox(host, "check", "--json").must().result["checks"]
    assert next(one for one in found if one["id"] == "BBX-H22")["verdict"] == "pass"
