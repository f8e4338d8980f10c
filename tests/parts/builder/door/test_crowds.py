"""Many at the door at once: it spends nothing on them before it knows who they are, and outlives what it lacks."""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from binderbox.parts.builder.door.listening import listen
from binderbox.parts.builder.engine import client, wire
from binderbox.parts.builder.engine.client import DoorError

from .conftest import RunningDoor, events_in, eventually, make_config, make_header, tar_of
from .test_server import _ask, _more_pods, _open, _send

DESCRIPTORS = 64


@pytest.fixture
def process(state: Path) -> Iterator[subprocess.Popen[str]]:
    """The door as it runs, with few descriptors."""
    (state / "door.json").write_text(json.dumps(asdict(make_config(state))))
    made = subprocess.Popen(
        [sys.executable, "-m", "binderbox.parts.builder.door", f"{state}/door.json"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS)),
    )
    eventually(lambda: (state / "door.sock").exists())
    yield made
    made.terminate()
    made.communicate(timeout=30)


def figures(pid: int) -> tuple[int, int, int]:
    """(threads, descriptors, resident kB) of a process."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    return (
        int(status["Threads"]),
        len(os.listdir(f"/proc/{pid}/fd")),
        int(status["VmRSS"].split()[0]),
    )


def flood(path: str, count: int) -> int:
    """Open so many connections, and keep what is not closed from there; how many there were."""
    held, opened = [], 0
    for _ in range(count):
        one = socket.socket(socket.AF_UNIX)
        one.connect(path)  # waits while the door's line is full
        opened += 1
        held.append(one)
        if len(held) >= 500:
            for each in held:
                each.close()
            held.clear()
    for each in held:
        each.close()
    return opened


def test_one_process_that_opens_sockets_costs_the_door_nothing_that_stays(
    process: subprocess.Popen[str], state: Path
) -> None:
    def still_answers() -> None:
        with pytest.raises(DoorError, match="belongs to no pod"):
            list(client.build(make_header(), lambda send: None, f"{state}/door.sock"))

    still_answers()
    before = figures(process.pid)
    assert flood(f"{state}/door.sock", 4000) == 4000
    still_answers()
    assert process.poll() is None
    eventually(lambda: sum(figures(process.pid)[:2]) <= sum(before[:2]) + 2)
    assert figures(process.pid)[2] < before[2] + 8000


def test_what_a_stranger_can_cause_is_written_once_a_second(
    process: subprocess.Popen[str], state: Path
) -> None:
    began = time.monotonic()
    flood(f"{state}/door.sock", 1000)
    seconds = time.monotonic() - began
    process.terminate()
    said = [one for one in events_in(process.communicate(timeout=30)[1]) if one["event"] == "refused"]
    assert 1 <= len(said) <= seconds + 2
    process.stderr = None


class Listener:
    """A listener that finds no descriptor for the first ones who come."""

    def __init__(self, real: socket.socket, faults: list[int]) -> None:
        self._real, self._faults = real, faults

    def accept(self) -> Any:
        if self._faults:
            code = self._faults.pop()
            raise OSError(code, os.strerror(code))
        return self._real.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.fixture
def beside(door: RunningDoor, state: Path) -> Iterator[Callable[[list[int]], str]]:
    """The same door at another socket, with a listener that lacks something; the socket's path."""
    threads = []

    def serve(faults: list[int]) -> str:
        listener = Listener(listen(f"{state}/other.sock"), faults)
        threads.append(threading.Thread(target=door.door.serve, args=(listener,)))
        threads[-1].start()
        return f"{state}/other.sock"

    yield serve
    door.door.stopping = True
    for thread in threads:
        thread.join(30)


def test_no_descriptor_for_the_next_one_is_survived(
    beside: Callable[[list[int]], str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = beside([errno.EMFILE, errno.ENFILE, errno.ENOMEM])
    assert "".join(client.build(make_header(), sends("say served"), path)) == "served\n"
    assert "not-accepted" in {one["event"] for one in events_in(capsys.readouterr().err)}


def test_no_thread_for_the_next_one_is_survived(door: RunningDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread._target == door.door._greet and not lacking.is_set():  # type: ignore[attr-defined]
            lacking.set()
            raise RuntimeError("can't start new thread")
        real(thread)

    lacking = threading.Event()
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(DoorError, match="as many builds in line"):
        door.build("say no")
    assert door.build("say yes") == "yes\n"


def test_a_context_is_taken_once_its_build_has_a_slot(start: Callable[..., RunningDoor], state: Path) -> None:
    door = start(build_slots=1)
    _more_pods(door, 32)
    first = _open(door, f"say first\nwait-for {state}/go")
    assert wire.receive(first, wire.LOG)[1] == b"first\n"
    waiting = [_ask(door) for _ in range(31)]
    for sock in waiting:
        assert b"place" in wire.receive(sock, wire.LOG)[1]
    assert len(list(Path(door.config.state_dir, "contexts").iterdir())) == 1
    for sock in waiting[1:]:
        sock.close()
    (state / "go").touch()
    while wire.receive(waiting[0], wire.LOG + wire.GO)[0] == wire.LOG:
        pass
    _send(waiting[0], "say its turn")
    assert wire.receive(waiting[0], wire.LOG)[1] == b"its turn\n"


def test_one_owners_thirty_builds_leave_half_of_the_slots(
    start: Callable[..., RunningDoor], state: Path
) -> None:
    door = start(build_slots=4)
    _more_pods(door, 30)
    held = [_ask(door) for _ in range(30)]
    eventually(lambda: Path(door.config.status_file).exists() and len(door.status()["builds"]) == 30)
    assert sorted(one["state"] for one in door.status()["builds"])[:3] == ["context", "context", "waiting"]
    _more_pods(door, 2, owners=2, first=30)
    assert [door.build("say other"), door.build("say other")] == ["other\n"] * 2
    for sock in held:
        sock.close()


def test_sixty_four_callers_with_thirty_two_contexts_cost_memory_and_descriptors_for_none_of_them(
    start: Callable[..., RunningDoor],
) -> None:
    """Each context has 12 MB in 900 files: all of them together would be 384 MB."""
    door = start(build_slots=4)
    context = tar_of(("Dockerfile", b"say built"), *((f"f/{n:0200}", bytes(13_000)) for n in range(900)))
    before, most = figures(os.getpid()), [0]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            most.append(figures(os.getpid())[2])

    def build(number: int) -> str:
        sends_all = number % 2 == 0
        try:
            return "".join(
                client.build(
                    make_header(), lambda send: send(context) if sends_all else None, door.config.socket
                )
            )
        except DoorError as refused:
            return str(refused)

    watching = threading.Thread(target=watch)
    watching.start()
    with ThreadPoolExecutor(64) as pool:
        _more_pods(door, 64, owners=64)
        told = list(pool.map(build, range(64)))
    over.set()
    watching.join()
    assert [text.splitlines()[-1] for text in told[::2]] == ["built"] * 32
    eventually(lambda: sum(figures(os.getpid())[:2]) <= sum(before[:2]) + 2)
    print(f"threads, descriptors, kB before {before} and after {figures(os.getpid())}; most {max(most)} kB")
    assert max(most) - before[2] < 100_000


def sends(text: str) -> Callable[[Callable[[bytes], None]], None]:
    from .conftest import send_dockerfile

    return send_dockerfile(text)
