"""The hub stops to see its pods start: /health stays green, every launch fails, and the node heals itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from binderbox import layout
from binderbox.errors import NoAnswer
from binderbox.federation.following.watch import SUSPECT
from tests.conftest import Installed
from tests.e2e.visitors import visited
from tests.rig.client import DOMAIN
from tests.rig.host import RigHost

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(1200)]
HUB = [layout.K3S, "kubectl", "-n", layout.HUB_NAMESPACE, "get", "pods", "-l", "component=hub", "-o", "name"]


@pytest.fixture
def host(installed_host: Installed) -> Iterator[RigHost]:
    """Its watch looks when a test says so, and knows nothing yet."""
    host = installed_host.host
    host.exec(["systemctl", "stop", "binderbox-watch.timer", "binderbox-watch.service"], timeout_s=300)
    host.exec(["rm", "-f", layout.WATCH_RECORD, layout.WATCH_STATE])
    try:
        yield host
    finally:
        host.exec(["systemctl", "start", "binderbox-watch.timer"])


def look(host: RigHost) -> dict[str, Any]:
    host.exec(["systemctl", "start", "binderbox-watch.service"], timeout_s=900)
    told: dict[str, Any] = json.loads(host.exec(["cat", layout.WATCH_STATE]))
    return told


def stall(host: RigHost) -> None:
    host.exec(["pkill", "-USR1", "-f", "^python3 -m hubdouble$"])


def audit(host: RigHost) -> list[dict[str, str]]:
    lines = [json.loads(line) for line in host.exec(["cat", layout.AUDIT_FILE]).splitlines()]
    return [line for line in lines if line["command"] == "watch"]


def test_launches_that_fail_restart_the_hub(host: RigHost, installed_host: Installed) -> None:
    with visited(host) as visitors, ThreadPoolExecutor(SUSPECT) as people:
        assert look(host)["verdict"] == "well"
        before = host.exec(HUB)
        stall(host)
        for failed in [people.submit(visitors.once) for _ in range(SUSPECT)]:
            with pytest.raises(NoAnswer):
                failed.result()
        health = ["curl", "-ksS", "--resolve", f"{DOMAIN}:443:{host.address}", f"https://{DOMAIN}/health"]
        assert json.loads(host.exec(health))["ok"] is True
        told = look(host)
        assert told["verdict"] == "well", told
        assert host.exec(HUB) != before
        visitors.once()
    start, end = audit(host)[-2:]
    assert (start["event"], start["deployment"]) == ("start", "hub")
    assert (end["event"], end["exit"]) == ("end", "0")
    status = installed_host.client.binderbox(host, "status", "--json").must(5).result  # its timer is stopped
    (part,) = [part for part in status["parts"] if part["name"] == "watch"]
    assert (part["ok"], part["version"]) == (True, "well")


def test_launches_that_fail_for_their_own_reasons_restart_nothing(host: RigHost) -> None:
    look(host)
    record = json.loads(host.exec(["cat", layout.WATCH_RECORD]))
    process, success, failure = record["counted"][-1]
    earlier = [[process, success, failure - SUSPECT]]  # as if these had come since the last look
    host.exec(["tee", layout.WATCH_RECORD], stdin=json.dumps({**record, "counted": earlier}).encode())
    before, said = host.exec(HUB), len(audit(host))
    assert look(host)["verdict"] == "well"
    kept = json.loads(host.exec(["cat", layout.WATCH_RECORD]))
    assert (kept["failed"], kept["asked_s"] > 0, kept["restarted"]) == (0, True, {})
    assert (host.exec(HUB), len(audit(host))) == (before, said)


def test_a_drained_member_is_not_watched(host: RigHost, installed_host: Installed) -> None:
    installed_host.client.binderbox(host, "drain", "--reason", "a look", "--yes").must()
    try:
        assert look(host)["verdict"] == "drained"
    finally:
        installed_host.client.binderbox(host, "resume").must()
    assert look(host)["verdict"] == "well"
