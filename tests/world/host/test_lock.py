"""The host's lock: one client at a time, held while anything that a client started still runs."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from binderbox.errors import Locked
from binderbox.world.host import lock
from binderbox.world.host.lock import hold
from tests.waiting import wait_until
from tests.world.conftest import OpenHost
from tests.world.sshd import LocalSshd

CLIENT = """\
import time
from pathlib import Path
from binderbox.world.host.lock import hold
from tests.world.conftest import open_on
from tests.world.sshd import LocalSshd
host = open_on(LocalSshd(Path({sshd!r}), {port}, None), Path({directory!r}))
with hold(host, "install: packages"):
    print("holding", flush=True)
    {then}
"""
RUN_NOISILY = (
    ": >{}/begun; for i in $(seq 40); do echo noise; echo noise >&2; sleep 0.1; done; echo done >{}/done"
)
Client = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def other_client(sshd: LocalSshd, directory: Path) -> Iterator[Client]:
    """Starts a client in a process of its own, which takes the lock and then runs `then`."""
    started: list[subprocess.Popen[bytes]] = []

    def start(then: str) -> subprocess.Popen[bytes]:
        code = CLIENT.format(sshd=str(sshd.directory), port=sshd.port, directory=str(directory), then=then)
        own = {**os.environ, "XDG_RUNTIME_DIR": str(directory)}  # a killed client cannot tidy up
        client = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=own)
        started.append(client)
        assert client.stdout
        assert client.stdout.readline() == b"holding\n"
        return client

    yield start
    for client in started:
        client.kill()
        client.wait()


def test_a_second_client_is_told_who_what_and_since_when(open_host: OpenHost) -> None:
    first, second = open_host(), open_host()
    with hold(first, "install: k3s") as held:
        held.step("install: registry")
        told = Path(f"{first.connection.run_dir}/lock.json")
        wait_until(lambda: "registry" in told.read_text(), 5, "the step is told")
        with pytest.raises(Locked) as locked, hold(second, "x"):
            pass
    assert locked.value.exit_code == 7
    assert (locked.value.holder, locked.value.step) == (lock.client_name(), "install: registry")
    assert 0 <= locked.value.age_s < 30
    with hold(second, "y"):
        pass


def test_a_client_may_wait_for_another(open_host: OpenHost, other_client: Client, directory: Path) -> None:
    leave, left = directory / "leave", directory / "left"
    other_client(
        f"while not Path({str(leave)!r}).exists(): time.sleep(0.1)\n    time.sleep(0.5); Path({str(left)!r}).touch()"
    )
    told: list[str] = []

    def note(text: str) -> None:
        told.append(text)
        leave.touch()

    with hold(open_host(), "mine", wait_s=20, note=note):
        assert left.exists()
    assert told == [f"waiting for {lock.client_name()}, who is at: install: packages"]


def test_work_of_a_killed_client_is_waited_for_and_ends_properly(
    open_host: OpenHost, other_client: Client, directory: Path
) -> None:
    mine = open_host()
    client = other_client(f"host.sh({RUN_NOISILY.format(directory, directory)!r}, work=True)")
    wait_until((directory / "begun").exists, 20, "the work has begun")
    client.kill()
    told: list[str] = []
    with hold(mine, "mine", note=told.append):
        assert (directory / "done").read_text() == "done\n"
    assert "left running by" in told[0]
    assert "install: packages" in told[0]


def test_a_client_killed_while_idle_leaves_no_lock(
    open_host: OpenHost, other_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "ENDING_S", 600)  # nobody helps its shell to end
    monkeypatch.setattr(lock, "GONE_S", 10)  # the longest wait for that
    client = other_client("time.sleep(60)")
    client.kill()
    with hold(open_host(), "mine"):
        pass


def test_the_idle_shell_of_a_silent_client_is_ended(
    open_host: OpenHost, other_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = other_client("time.sleep(60)")
    os.kill(client.pid, signal.SIGSTOP)
    monkeypatch.setattr(lock, "GONE_S", 2)
    told: list[str] = []
    with hold(open_host(), "mine", wait_s=20, note=told.append):
        pass
    assert told[-1] == f"taking over from {lock.client_name()}, whose connection is dead"


def test_ctrl_c_releases_the_lock(open_host: OpenHost, other_client: Client) -> None:
    client = other_client("host.sh('sleep 2', work=True)")
    client.send_signal(signal.SIGINT)
    assert client.wait(10) != 0
    with hold(open_host(), "mine"):
        pass


def test_the_lock_leaves_nothing_but_its_own_files(open_host: OpenHost) -> None:
    host = open_host()
    with hold(host, "mine"):
        host.sh("true", work=True)
    assert sorted(os.listdir(host.connection.run_dir)) == ["lock", "sessions"]


def test_the_audit_log_has_a_line_for_each_event_and_no_secret(open_host: OpenHost, directory: Path) -> None:
    host, path = open_host(), directory / "data/audit.log"
    host.hide("hunter2-hunter2")
    lock.audit(host, "start", "install --flag hunter2-hunter2", path=str(path))
    lock.audit(host, "end", "install", path=str(path), exit=0)
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["event"], first["command"]) == ("start", "install --flag (secret)")
    assert (second["event"], second["exit"], second["who"]) == ("end", 0, lock.client_name())
    assert path.stat().st_mode & 0o777 == 0o600
