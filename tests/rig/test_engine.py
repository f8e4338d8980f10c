"""The rig's own container engine starts beside any other, works, and leaves nothing when it stops."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.rig import engine

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
STATIC_PROGRAM = "/usr/bin/tini-static"  # comes with Debian's docker


@pytest.fixture
def another_engine(
    rig_engine: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Other names than the engine of this run has, so that it is left alone."""
    if not engine.is_ours(rig_engine):
        pytest.skip("this machine has an engine of its own; the rig starts none")
    run = Path("/run/binderbox-rig-test")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name, value in {
        "RUN": run,
        "SOCKET": run / "docker.sock",
        "PID_FILE": run / "dockerd.pid",
        "FORWARD_BEFORE": run / "ip_forward",
        "HOST_URL": f"unix://{run}/docker.sock",
        "BRIDGE": "bbxrigtest0",
        "ADDRESSES": "10.214.0.0/16",
        "BRIDGE_ADDRESS": "10.214.0.1/24",
        "NETWORK_POOL": "base=10.214.128.0/17,size=24",
        "TABLE": "bbxrigtest",
    }.items():
        monkeypatch.setattr(engine, name, value)
    monkeypatch.setattr(engine, "lacks_sys_resource", lambda: False)  # its cache is empty, and it starts none
    return {"DOCKER_HOST": engine.HOST_URL}


def machine() -> dict[str, str]:
    """What an engine could leave behind on this machine."""
    commands = {
        "interfaces": ["ip", "-brief", "link"],
        "tables": ["nft", "list", "tables"],
        "iptables": ["iptables-save"],
        "mounts": ["findmnt", "--raw", "--noheadings", "--output", "TARGET"],
        "processes": ["ps", "-eo", "args"],
        "forwarding": ["cat", "/proc/sys/net/ipv4/ip_forward"],
        "run": ["ls", "/run"],
    }
    return {
        name: subprocess.run(c, capture_output=True, text=True, check=False).stdout
        for name, c in commands.items()
    }


def static_root() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(STATIC_PROGRAM, "program")
    return packed.getvalue()


def test_it_stays_while_something_is_in_it_and_then_goes_without_a_trace(
    another_engine: dict[str, str],
) -> None:
    before = machine()
    forwarding = Path("/proc/sys/net/ipv4/ip_forward")
    assert engine.ensure_engine() == another_engine
    assert engine.ensure_engine() == another_engine, "a second call finds the first one's"
    assert forwarding.read_text() == "1\n"
    engine.docker("import", "-", "static:1", stdin=static_root())
    engine.docker("network", "create", "test")
    engine.docker("create", "--name", "kept", "--network", "test", "static:1", "/program")

    assert not engine.stop_engine(), "a container is left in it"
    engine.docker("volume", "create", "left")
    (volumes,) = Path(os.environ["XDG_CACHE_HOME"]).glob("**/data/volumes")
    assert engine.docker("ps", "--all", "--format", "{{.Names}}") == "kept"
    assert engine.stop_engine(force=True)
    assert not (volumes / "left").exists(), "2 GB of a killed run's host would stay for ever"

    after = machine()
    assert (after["tables"], after["iptables"]) == (before["tables"], before["iptables"])
    assert engine.BRIDGE not in after["interfaces"]
    assert engine.RUN.name not in after["run"].split()
    assert str(engine.RUN) not in after["mounts"]
    assert str(engine.RUN) not in after["processes"]
    assert after["forwarding"] == before["forwarding"]
    assert engine.stop_engine(), "stopping it twice is no failure"


def test_volumes_of_a_run_that_was_killed_go_with_the_next_start(another_engine: dict[str, str]) -> None:
    engine.ensure_engine()
    engine.docker("volume", "create", "of-a-killed-run")
    engine._stop_process()  # the machine goes down; nobody cleans
    engine.ensure_engine()
    assert engine.docker("volume", "ls", "--quiet") == ""
    assert engine.stop_engine(force=True)


def test_a_pid_file_that_names_another_process_harms_nobody(another_engine: dict[str, str]) -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        engine.RUN.mkdir()
        engine.PID_FILE.write_text(str(bystander.pid))
        assert engine.stop_engine(force=True)
        assert bystander.poll() is None
        bystander.kill()


def test_the_machines_own_engine_is_used_and_left_alone(
    rig_engine: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", rig_engine.get("DOCKER_HOST", os.environ.get("DOCKER_HOST", "")))
    monkeypatch.setattr(engine, "RUN", Path("/run/binderbox-rig-test"))
    assert engine.ensure_engine() == {}, "docker answers already"
    assert engine.stop_engine()
    assert engine.docker("info", "--format", "{{.ServerVersion}}")


def test_without_root_and_without_docker_it_says_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    monkeypatch.setattr(engine, "HOST_URL", f"unix://{tmp_path}/none")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(engine.NoEngine, match="needs root on Debian"):
        engine.ensure_engine()
