"""The demo as a newcomer meets it: up, look inside, up again, down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from binderbox.commands import demo_files as demo
from binderbox.world.containers import Engine
from tests.federation.serving import Asker
from tests.places import ROOT
from tests.rig import demo_authority
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
    url = str(first["url"])
    accepts = _asker(url)
    accepts.client = httpx.Client(verify=False)  # it has accepted the certificate
    assert accepts.get(url, 30).status_code == 200
    assert run(PROGRAM, "status", "demo", "--json")["verdict"] == "healthy"
    started = engine.run("inspect", "--format", "{{.State.StartedAt}}", demo.NAME)
    second = run(*up)
    assert engine.run("inspect", "--format", "{{.State.StartedAt}}", demo.NAME) == started
    assert second["member"] == first["member"]
    run(PROGRAM, "demo", "down", "--json")
    assert engine.labelled(demo.LABEL) == {}
    assert demo.read() is None


def test_a_browser_that_trusts_the_authoritys_root_is_not_warned(
    rig_engine: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    env = {**os.environ, **rig_engine}
    up = [sys.executable, "-m", "tests.rig", "demo", "--tls", "acme"]
    try:
        done = subprocess.run(up, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        (url,) = {word for word in done.stdout.split() if "/lab?token=" in word}
        root = Path(done.stdout.split("A browser that trusts ")[1].split()[0])
        assert _asker(url, root.read_text()).get(url, 30).status_code == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            _asker(url).get(url, 30)
    finally:  # without the engine, which is the run's
        subprocess.run([PROGRAM, "demo", "down"], env=env, check=True, capture_output=True)
        demo_authority.stop()
    assert not root.exists()


def _asker(url: str, ca_pem: str | None = None) -> Asker:
    """A browser with that trust; names below localhost are this machine."""
    return Asker(ca_pem=ca_pem, addresses={str(urlsplit(url).hostname): "127.0.0.1"})
