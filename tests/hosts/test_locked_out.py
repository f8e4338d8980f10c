"""Whoever comes to a host by a way that the firewall would close: told before, and let in again when it was closed."""

from __future__ import annotations

import subprocess

import pytest

from binderbox import layout
from tests.hosts.test_preflight import checked
from tests.rig.client import Client
from tests.rig.host import RigHost
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(900)]
WAY = 2200  # what carries ssh from outside to the host's own sshd, as a VPN would


@pytest.fixture
def host(fresh_host: RigHost) -> RigHost:
    fresh_host.exec(
        [
            "systemd-run",
            "-q",
            "--collect",
            "--unit=way",
            "socat",
            f"TCP-LISTEN:{WAY},fork,reuseaddr",
            "TCP:127.0.0.1:22",
        ]
    )
    text = fresh_host.ssh_config.read_text()
    assert "Port 22\n" in text
    fresh_host.ssh_config.write_text(
        text.replace("Port 22\n", f"Port {WAY}\n    HostKeyAlias {fresh_host.address}\n")
    )
    wait_until(lambda: comes_in(fresh_host), 30, "the way in")
    return fresh_host


def comes_in(host: RigHost) -> bool:
    words = [
        "ssh",
        "-F",
        str(host.ssh_config),
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=5",
        host.alias,
        "true",
    ]
    return subprocess.run(words, capture_output=True, timeout=60, check=False).returncode == 0


def tables(host: RigHost) -> str:
    return host.exec(["nft", "list", "tables"])


def at_boot(host: RigHost) -> list[str]:
    units = f"{layout.FIREWALL_UNIT} {layout.BACKSTOP_UNIT}"
    return host.exec(["sh", "-c", f"systemctl is-enabled {units}; true"]).split()


def test_a_way_in_that_the_firewall_closes_is_named_and_open_again_soon(
    host: RigHost, client: Client
) -> None:
    verdict, measured, fix = checked(client, host)["BBX-H30"]
    assert (verdict, f"{WAY}/tcp (socat)" in measured) == ("warn", True), measured
    assert f"ingress_allow: [{{protocol: tcp, ports: [{WAY}]}}]" in fix

    failed = client.install(host, "--json").must(4)
    assert "keeps new ssh connections out" in failed.result["error"]["message"]
    assert "ingress_allow" in failed.result["error"]["remedy"]
    wait_until(lambda: comes_in(host), 180, "the way in, once the firewall is taken back")
    assert "binderbox" not in tables(host)
    assert at_boot(host) == ["disabled", "disabled"]

    client.install(host, "--json", ingress_allow=[{"ports": [WAY]}]).must()
    assert "table inet binderbox-backstop" in tables(host)
    assert at_boot(host) == ["enabled", "enabled"]
    assert comes_in(host)
    assert client.install(host, "--json", ingress_allow=[{"ports": [WAY]}]).must().result["changed"] == []
