"""Another program takes every table of everybody away: ours is back by itself, and by an install where nothing keeps it."""

from __future__ import annotations

import random
import time

import pytest

from binderbox import layout
from tests.conftest import Installed
from tests.rig.host import RigHost
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]
OURS = "table inet binderbox"
SEED = 12


def loaded(host: RigHost) -> bool:
    return OURS in host.exec(["nft", "list", "tables"])


def delete_ours(host: RigHost) -> None:
    host.exec(["nft", "delete", "table", "inet", "binderbox"])


def test_the_table_is_back_each_time(installed_host: Installed) -> None:
    host, chance = installed_host.host, random.Random(SEED)
    for _ in range(5):
        delete_ours(host)
        wait_until(lambda: loaded(host), 10, "the firewall's table")
        time.sleep(chance.uniform(0, 1))
    known = host.exec(["nft", "list", "set", "inet", "binderbox", "system_pods"])
    wait_until(
        lambda: (
            "elements" in known
            or "elements" in host.exec(["nft", "list", "set", "inet", "binderbox", "system_pods"])
        ),
        10,
        "system pods",
    )
    assert "was gone, and is loaded again" in host.exec(
        ["journalctl", "-u", layout.KEEPER_UNIT, "-o", "cat", "--no-pager"]
    )


def test_an_install_loads_it_where_nobody_keeps_it(installed_host: Installed) -> None:
    host, client = installed_host.host, installed_host.client
    host.exec(["systemctl", "stop", layout.KEEPER_UNIT])
    try:
        delete_ours(host)
        changed = client.install(host, "--json").must().result["changed"]
    finally:
        host.exec(["systemctl", "start", layout.KEEPER_UNIT], timeout_s=300)
    assert "load the firewall where it was flushed" in " ".join(changed)
    assert loaded(host)
    assert client.install(host, "--json").must().result["changed"] == []
