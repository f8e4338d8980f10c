"""Killed inside every phase, with two reboots on the way, the same command ends in a running notebook; then it all goes."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from binderbox import layout
from binderbox.commands.phases import INSTALL
from tests.e2e.killing import run_into
from tests.rig.client import Client
from tests.rig.host import RigHost

TITLES = ["Check", *(phase.title for phase in INSTALL), "Prove it"]
REBOOT_AFTER = ("Start k3s", "Install the ingress")

pytestmark = [pytest.mark.host, pytest.mark.timeout(1800)]


def test_one_host_killed_in_every_phase(fresh_host: RigHost, client: Client) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for title in TITLES:
        run_into(client, fresh_host, title, linger_s=chance.uniform(0.05, 4)).kill()
        if title in REBOOT_AFTER:
            fresh_host.reboot(power_cut=True)
    resumed = client.install(fresh_host, "--json").must().result
    assert resumed["launches"][0]["built"]
    again = client.install(fresh_host, "--json").must().result
    assert again["changed"] == []
    gone = client.binderbox(fresh_host, "uninstall", "--yes", "--json").must().result
    assert gone["leftovers"] == []
    assert layout.ETC in gone["kept"]
    purged = client.binderbox(fresh_host, "uninstall", "--purge", "--yes", "--json").must().result
    assert purged["leftovers"] == []
    left = fresh_host.exec(["sh", "-c", f"ls -d {layout.ETC} {layout.DATA}/* 2>/dev/null || true"])
    assert left.strip() == ""


@pytest.mark.long
@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("linger_s", [2])
def test_a_fresh_host_killed_once(
    start_host: Callable[..., RigHost], client: Client, title: str, linger_s: float
) -> None:
    host = start_host("killed")
    run_into(client, host, title, linger_s=linger_s).kill()
    client.install(host, "--json").must()
    assert client.install(host, "--json").must().result["changed"] == []
