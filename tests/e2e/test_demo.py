"""The demo as a newcomer meets it: up, look inside, up again, down."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import urllib.request
from pathlib import Path

import pytest

from binderbox.commands import demo_files as demo
from binderbox.world.containers import Engine
from tests.rig.client import PROGRAM, bundle_options
from tests.rig.egress import site_options
from tests.rig.hostimage import host_image, registry_reachable

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(1800)]


def test_a_demo_ends_with_a_notebook_and_leaves_nothing(
    rig_engine: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    env = {**os.environ, **rig_engine}
    engine = Engine(rig_engine)
    image = [] if registry_reachable() else ["--image", host_image()]
    up = [PROGRAM, "demo", "up", "--json", *image, *site_options(), *bundle_options(), "--yes"]

    def run(*command: str) -> dict[str, object]:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
        return found

    first = run(*up)
    assert _status(str(first["url"])) == 200
    assert run(PROGRAM, "status", "demo", "--json")["verdict"] == "healthy"
    started = engine.run("inspect", "--format", "{{.State.StartedAt}}", demo.NAME)
    second = run(*up)
    assert engine.run("inspect", "--format", "{{.State.StartedAt}}", demo.NAME) == started
    assert second["member"] == first["member"]
    run(PROGRAM, "demo", "down", "--json")
    assert engine.labelled(demo.LABEL) == {}
    assert demo.read() is None


def _status(url: str) -> int:
    """What a browser gets that has accepted the certificate; names below localhost are this machine."""
    unchecked = ssl._create_unverified_context()
    name = url.split("/")[2].rpartition(":")[0]
    request = urllib.request.Request(url.replace(name, "127.0.0.1", 1), headers={"Host": url.split("/")[2]})
    with urllib.request.urlopen(request, context=unchecked, timeout=30) as answer:
        return int(answer.status)
