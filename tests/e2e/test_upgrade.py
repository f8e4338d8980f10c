"""A node that another release set up is brought to this one: its modules go, and a build that runs meanwhile ends well."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from binderbox import layout
from binderbox.layout import DOOR_STATUS
from tests.conftest import Installed
from tests.e2e.federated import serve_slow_repository
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]

OLD = (
    f"{layout.DOOR}/binderbox/door/server.py",
    f"{layout.ENGINE}/binderbox_engine/old.py",
    f"{layout.AGENT}/binderbox/agent/follow.py",
    f"{layout.LIB}/systempods.py",
)
SERVER = f"{layout.DOOR}/binderbox/parts/builder/door/server.py"


def test_a_build_that_runs_during_an_upgrade_ends_well(installed_host: Installed) -> None:
    host, client = installed_host.host, installed_host.client
    for path in OLD:
        host.exec(["install", "-D", "-m", "644", "/dev/null", path])
    host.exec(["sh", "-c", f"echo '# of another release' >> {SERVER}"])
    began = started(installed_host)

    slow = serve_slow_repository(host, uuid.uuid4().hex, 15)
    build = client.start(host, "launch", slow, "--ref", "main", "--json")

    def building() -> Any:
        return [
            one for one in json.loads(host.exec(["cat", DOOR_STATUS]))["builds"] if one["state"] == "building"
        ]

    wait_until(building, 60, "a build at the door")
    result = client.install(host, "--json").must().result
    stdout, stderr = build.communicate(timeout=120)
    assert build.returncode == 0, stderr
    assert json.loads(stdout.splitlines()[-1])["built"]

    assert "write the door" in result["changed"]
    assert "wait until nobody builds" in result["changed"]
    assert started(installed_host) != began
    assert host.exec(["sh", "-c", f"ls {' '.join(OLD)} 2>/dev/null || true"]) == ""
    assert client.install(host, "--json").must().result["changed"] == []


def started(installed: Installed) -> str:
    """When the door's process began."""
    show = ["systemctl", "show", "-p", "ExecMainStartTimestampMonotonic", "--value", layout.DOOR_UNIT]
    return installed.host.exec(show).strip()
