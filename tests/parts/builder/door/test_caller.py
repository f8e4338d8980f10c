from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from binderbox.parts.builder.door import caller
from binderbox.parts.builder.door.refusal import Refused

CONNECT = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); {then}"


def _accept(path: Path, then: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    process = subprocess.Popen(
        [sys.executable, "-c", CONNECT.format(then=then), str(path)], stdin=subprocess.PIPE
    )
    return process, listener.accept()[0]


def _reason(sock: socket.socket, before: float) -> str:
    with pytest.raises(Refused) as refused:
        caller.identify(sock, before)
    return refused.value.reason


@pytest.mark.parametrize("kernel", ["names the peer's process", "before 6.5"])
def test_a_living_process_outside_pods_is_refused_as_such(
    state: Path, monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    if kernel == "before 6.5":
        monkeypatch.setattr(caller, "SO_PEERPIDFD", 9999)
    process, sock = _accept(state / "s", "sys.stdin.read()")
    with process, sock:
        assert _reason(sock, time.clock_gettime(time.CLOCK_BOOTTIME)) == "not-a-pod"
        process.communicate()


@pytest.mark.parametrize("kernel", ["names the peer's process", "before 6.5"])
def test_a_process_that_ended_is_nobody(state: Path, monkeypatch: pytest.MonkeyPatch, kernel: str) -> None:
    if kernel == "before 6.5":
        monkeypatch.setattr(caller, "SO_PEERPIDFD", 9999)
    child = "import os; os.fork() and os._exit(0); s.recv(1)"  # the child keeps the connection
    process, sock = _accept(state / "s", child)
    with sock:
        process.wait()
        assert _reason(sock, time.clock_gettime(time.CLOCK_BOOTTIME)) == "caller-gone"


def test_without_a_pidfd_of_the_peer_a_younger_process_is_not_believed(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "SO_PEERPIDFD", 9999)
    process, sock = _accept(state / "s", "sys.stdin.read()")
    with process, sock:
        assert _reason(sock, 1.0) == "caller-gone"  # as if the connection were older than the process
        process.communicate()


def test_a_kernel_that_may_not_say_who_it_is_is_not_asked_another_way(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pid alone may be somebody else's by now."""

    class Exhausted(socket.socket):
        def getsockopt(self, level: int, name: int, *size: int) -> bytes:  # type: ignore[override]
            if name == caller.SO_PEERPIDFD:
                raise OSError(errno.EMFILE, "Too many open files")
            return super().getsockopt(level, name, *size)  # type: ignore[return-value]

    process, accepted = _accept(state / "s", "sys.stdin.read()")
    with process, Exhausted(fileno=accepted.detach()) as sock:
        with pytest.raises(Refused, match="Too many open files"):
            caller.identify(sock, time.clock_gettime(time.CLOCK_BOOTTIME))
        process.communicate()


def test_a_process_of_the_host_in_a_pods_cgroup_is_no_pod(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = caller.PodProcess("uid", "container")
    monkeypatch.setattr(caller, "parse_cgroup", lambda text: pod)
    process, sock = _accept(state / "s", "sys.stdin.read()")
    with process, sock:
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        assert _reason(sock, now) == "not-a-pod"
        monkeypatch.setattr(caller, "has_own_processes", lambda status: True)
        assert caller.identify(sock, now) == (process.pid, pod)
        process.communicate()


@pytest.mark.parametrize(
    ("line", "own"), [("NSpid:\t812", False), ("NSpid:\t812\t7", True), ("NStgid:\t8\t7", False)]
)
def test_who_lives_in_a_pid_namespace_of_its_own(line: str, own: bool) -> None:
    assert caller.has_own_processes(f"Name:\tpython3\n{line}\nVmPeak: 1 kB\n") is own


def test_a_start_time_is_seconds_since_boot() -> None:
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert now - 24 * 3600 < caller._started_at(os.getpid()) <= now
