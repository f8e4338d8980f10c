"""Three days of the simulated year on a host: its registry, its object store, and the job that the agent runs there."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from binderbox import layout
from tests.bench import year
from tests.parts.agent.replaying import CEILING_GB, SCALE, YOUNG_S, foretell, images_in, replay
from tests.parts.registry.server import Registry
from tests.rig.client import Client
from tests.rig.host import RigHost
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(3600)]
# Each line of stdin is a time at which the job runs, as systemd starts it, and what was asked of the registry last before it:
# containerd writes a pod's log a moment after the answer. After "/all/" everything goes.
JOB = """
import sys, time
from contextlib import redirect_stdout
from dataclasses import replace
from glob import glob
from pathlib import Path
from binderbox import layout
from binderbox.parts.agent.jobs import config, retention
layout.RETENTION_MEMORY, layout.RETENTION_STATE = "/run/replay.sqlite", "/run/replay.json"
retention.YOUNG_S = float(sys.argv[2])
of = replace(config.parse_config(Path(layout.AGENT_CONFIG).read_text()), registry_max_gb=float(sys.argv[1]))
def logged(mark):
    return any(mark in Path(one).read_text(errors="replace")[-100_000:] for one in glob(layout.REGISTRY_LOGS) if one.endswith(".log"))
for line in sys.stdin:
    now, mark = line.split()
    until = time.monotonic() + 30
    while not logged(mark):
        assert time.monotonic() < until, mark
        time.sleep(0.02)
    asked = {"keep_days": 0} if mark == "/all/" else None
    with redirect_stdout(sys.stderr):  # the job says what it does
        well = retention.run(of, asked, now=float(now))
    print(int(well), flush=True)
"""
KEYS = """
import json
from contextlib import closing
from pathlib import Path
from binderbox import layout
from binderbox.parts.agent.jobs import config, retention
with closing(retention._bucket(config.parse_config(Path(layout.AGENT_CONFIG).read_text()))) as bucket:
    print(json.dumps([[one.key, one.size_bytes] for one in bucket.all()]))
"""


@contextmanager
def registry_of(host: RigHost) -> Iterator[Registry]:
    """The host's registry at a port here, through ssh, with the member's own credential."""
    password = host.exec(["cat", f"{layout.SECRETS}/registry-password"]).strip()
    address = host.exec(
        [
            "sh",
            "-c",
            f"{layout.K3S} kubectl get service registry -n {layout.NAMESPACE} -o 'jsonpath={{.spec.clusterIP}}'",
        ]
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["ssh", "-F", str(host.ssh_config), "-N", "-o", "ExitOnForwardFailure=yes"]
    with subprocess.Popen([*words, "-L", f"127.0.0.1:{port}:{address}:5000", host.alias]) as tunnel:
        try:
            there = Registry(port, password=password)
            wait_until(lambda: _answers(there), 30, "the host's registry through ssh")
            yield there
        finally:
            tunnel.terminate()


def _answers(registry: Registry) -> bool:
    try:
        return registry.ask("GET", "/v2/").status == 200
    except OSError:
        return False


def held(host: RigHost) -> dict[str, int]:
    """Bytes by key of all that is in the host's bucket."""
    found = json.loads(host.exec(["env", *layout.AGENT_PYTHON, "python3", "-c", KEYS]))
    return dict(found)


@contextmanager
def job_on(host: RigHost) -> Iterator[Callable[[float, str], bool]]:
    """Runs the job on the host at a time, when its log has this; whether all was well."""
    words = ["env", *layout.AGENT_PYTHON, "python3", "-c", JOB, str(CEILING_GB / SCALE), str(YOUNG_S)]
    over_ssh = ["ssh", "-F", str(host.ssh_config), host.alias, shlex.join(words)]
    with subprocess.Popen(over_ssh, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as job:
        assert job.stdin
        assert job.stdout

        def run(now: float, mark: str) -> bool:
            print(now, mark, file=job.stdin, flush=True)
            return job.stdout.readline().strip() == "1"  # type: ignore[union-attr]

        yield run
        job.stdin.close()


def test_the_job_on_a_host_leaves_what_the_simulation_says(
    start_host: Callable[..., RigHost], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = start_host("days")
    client.install(host, "--json").must()
    host.exec(["systemctl", "stop", layout.RETENTION_TIMER])
    foretold = foretell(monkeypatch)
    with registry_of(host) as registry, job_on(host) as run:
        registry.ask("HEAD", "/v2/all/manifests/all")
        assert run(1e9 - 1200, "/all/"), "it learns what is there"
        assert run(1e9 - 600, "/all/")
        assert not any("/blobs/" in key for key in held(host)), "what the install's proof had built is gone"
        for number, now in enumerate(replay(registry)):
            registry.ask("HEAD", f"/v2/mark/manifests/{number}.")
            assert run(now, f"/mark/manifests/{number}."), number
    left = held(host)
    assert images_in(left) == foretold.names
    held_bytes = sum(size for key, size in left.items() if "/blobs/" in key)
    print(
        f"{len(foretold.names)} images, {held_bytes / 1e6:.1f} MB on the host, {foretold.bytes_gb[-1]:.1f} GB foretold"
    )
    assert held_bytes * SCALE == pytest.approx(foretold.bytes_gb[-1] * year.GB, rel=0.05)
