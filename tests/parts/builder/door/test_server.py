from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from binderbox.parts.builder.door.cgroup import PodProcess
from binderbox.parts.builder.door.containerd import ContainerdError
from binderbox.parts.builder.door.listening import listen
from binderbox.parts.builder.door.server import Door
from binderbox.parts.builder.engine import client, wire
from binderbox.parts.builder.engine.client import DoorError

from .conftest import (
    CONTAINER,
    POD,
    TAG,
    UID,
    RunningDoor,
    events_in,
    eventually,
    make_header,
    send_dockerfile,
    tar_of,
)

Start = Callable[..., RunningDoor]


def _processes(state: Path) -> list[str]:
    """Commands of living processes that work in this door's directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if any(str(state) in word for word in words) and any("buildctl.py" in word for word in words):
            found.append(" ".join(words))
    return found


def _ask(door: RunningDoor) -> socket.socket:
    """Come to the door with a header."""
    sock = door.connect()
    wire.send_json(sock, wire.HEADER, {"protocol": wire.PROTOCOL, **make_header()})
    return sock


def _open(door: RunningDoor, dockerfile: str = "") -> socket.socket:
    """Bring a build as far as its context; with a Dockerfile as far as the build itself."""
    sock = _ask(door)
    assert wire.receive(sock, wire.GO)[0] == wire.GO
    if dockerfile:
        _send(sock, dockerfile)
    return sock


def _send(sock: socket.socket, dockerfile: str) -> None:
    wire.send(sock, wire.DATA, tar_of(("Dockerfile", dockerfile.encode())))
    wire.send(sock, wire.END)


def _more_pods(door: RunningDoor, count: int, *, owners: int = 1, first: int = 0) -> None:
    """Let the next callers be as many different build pods, of repositories of so many owners."""
    for number in range(first, first + count):
        uid = f"{number:08x}{UID[8:]}"
        metadata = {**POD["metadata"], "uid": uid, "name": f"build-{number}"}
        if owners > 1:
            repository = f"https://example.org/owner-{number % owners}/{number}"
            metadata["annotations"] = {**metadata["annotations"], "binder-repo": repository}
        door.pods[uid] = {**POD, "metadata": metadata}
        door.callers.append(PodProcess(uid, CONTAINER))


def test_a_build_streams_its_log_and_its_image_is_pushed(
    door: RunningDoor, capsys: pytest.CaptureFixture[str]
) -> None:
    assert door.build("say hello\nsay world") == "hello\nworld\n"
    assert [pending.tag for pending in door.door._pusher.spool.all()] == [TAG]
    eventually(lambda: door.images.pins == {TAG})
    eventually(lambda: not list(Path(door.config.state_dir, "contexts").iterdir()))
    said = events_in(capsys.readouterr().err)
    assert [event["event"] for event in said] == ["build-started", "build-ended"]
    assert {event["repository"] for event in said} == {"https://example.org/demo.git"}


def test_an_image_that_was_built_here_and_is_still_there_is_answered_at_once_and_pushed(
    door: RunningDoor, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """BinderHub asks for a build where the registry cannot be seen, or has forgotten what the node still has."""
    first = door.build("say hello")
    assert door.build("say hello") == first, "containerd has it no longer"
    door.images.built_here[TAG] = "sha256:" + "0" * 64
    with door.connect() as pod:
        wire.send_json(pod, wire.HEADER, {"protocol": wire.PROTOCOL, **make_header()})
        kind, text = wire.receive(pod, wire.LOG + wire.GO + wire.RESULT)
        assert (kind, text) == (wire.LOG, b"This node has built it before, and has it still.\n")
        kind, answer = wire.receive(pod, wire.GO + wire.RESULT)
    assert kind == wire.RESULT, "no context is asked for"
    assert json.loads(answer)["ok"]
    eventually(lambda: TAG in door.images.pins)
    said = [one["event"] for one in events_in(capsys.readouterr().err)]
    assert said.count("build-ended") == 2
    assert said.count("build-spared") == 1
    assert "still" in door.build("say hello"), "by the engine, too"
    door.images.broken_list = True
    assert door.build("say hello") == first, "who cannot look builds"


def test_a_door_knows_what_an_earlier_one_has_built(door: RunningDoor) -> None:
    door.images.built_here[TAG] = "sha256:" + "0" * 64
    door.images.broken_list = True
    with pytest.raises(ContainerdError):
        door.door._pusher.learn()
    assert door.build("say hello") == "hello\n", "it has not learnt it yet"
    door.door._pusher._known.clear()
    door.images.broken_list = False
    door.door._pusher.learn()
    assert "still" in door.build("say hello")


def test_the_log_arrives_while_the_build_runs(door: RunningDoor, state: Path) -> None:
    lines = client.build(
        make_header(),
        lambda send: send(tar_of(("Dockerfile", f"say first\nwait-for {state}/go\nsay second".encode()))),
        door.config.socket,
    )
    assert next(lines) == "first\n"
    assert door.status()["builds"][0]["state"] == "building"
    (state / "go").touch()
    assert list(lines) == ["second\n"]


def test_a_directory_arrives_as_it_is(door: RunningDoor, tmp_path: Path) -> None:
    (tmp_path / "binder").mkdir()
    (tmp_path / "binder/Dockerfile").write_text("show notebooks/one.txt")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/one.txt").write_text("one")
    (tmp_path / ".dockerignore").write_text("*")
    from binderbox.parts.builder.engine import context

    header = make_header(dockerfile="binder/Dockerfile")
    log = client.build(header, lambda send: context.send_directory(str(tmp_path), send), door.config.socket)
    assert "".join(log) == "one\n"


FAILING = """\
say #5 0.1 cc: fatal error
say #5 ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 2
say ------
say  > [2/2] RUN make:
say 0.1 cc: fatal error
say ------
say Dockerfile:2
say   2 | >>> RUN make
say error: failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: {code}
fail 1"""


def failing(door: RunningDoor, dockerfile: str) -> tuple[str, str]:
    """(log, reason) of a build that fails."""
    seen: list[str] = []
    lines = client.build(make_header(), send_dockerfile(dockerfile), door.config.socket)
    with pytest.raises(DoorError) as failed:
        seen.extend(lines)
    assert door.door._pusher.spool.all() == []
    return "".join(seen), str(failed.value)


def test_a_failing_commands_lines_come_once_and_the_reason_is_one_sentence(door: RunningDoor) -> None:
    log, reason = failing(door, FAILING.format(code=2))
    assert log.count("cc: fatal error") == 1
    assert ">>> RUN make" in log
    assert (log + reason).count("failed to solve") == 0
    assert reason == 'The build failed: process "/bin/sh -c make" did not complete successfully: exit code: 2'


def test_a_step_that_was_killed_is_told_the_limit_of_this_node(door: RunningDoor) -> None:
    assert "4.7 GB" in failing(door, FAILING.format(code=137))[1]


def test_without_a_reason_of_its_own_a_build_has_its_exit_status(door: RunningDoor) -> None:
    assert failing(door, "say all is well\nfail 3") == (
        "all is well\n",
        "The build failed (buildctl: exit status 3)",
    )


def test_a_build_whose_builder_was_restarted_is_tried_once_more(
    start: Callable[..., RunningDoor], state: Path
) -> None:
    door = start(buildkit_address=f"unix://{state}/b.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as back:
        back.bind(door.config.buildkit_address.removeprefix("unix://"))
        back.listen()
        log = door.build(f"gone-once {state / 'once'}\nsay built")
    assert log == "The builder of this node was restarted. Building once more.\nbuilt\n"


def test_a_builder_that_is_gone_again_is_told_without_its_errors(
    start: Callable[..., RunningDoor], state: Path
) -> None:
    door = start(buildkit_address=f"unix://{state}/b.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as back:
        back.bind(door.config.buildkit_address.removeprefix("unix://"))
        back.listen()
        _, reason = failing(
            door,
            "say error: failed to solve: rpc error: code = Unavailable desc = closing transport due to: EOF\nfail 1",
        )
    assert (
        reason == "The builder of this node was restarted while it built. Please try again in a few minutes."
    )


def test_a_flood_of_log_lines_arrives_whole(door: RunningDoor) -> None:
    log = door.build("flood 50000").splitlines()
    assert (len(log), log[0][:6], log[-1][:10]) == (50_000, "line 0", "line 49999")


@pytest.mark.parametrize(
    "tag", [TAG + "x", "docker.io/library/traefik:v3.7", "registry.binderbox.svc:5000/i-other:latest"]
)
def test_another_tag_is_refused_before_any_context(
    door: RunningDoor, capsys: pytest.CaptureFixture[str], tag: str
) -> None:
    sent: list[int] = []
    with pytest.raises(DoorError, match="refused: this pod may build"):
        list(client.build(make_header(tag=tag), lambda send: sent.append(1), door.config.socket))
    assert sent == []
    event = events_in(capsys.readouterr().err)[-1]
    assert (event["event"], event["reason"]) == ("refused", "other-tag")
    assert event["repository"] == "https://example.org/demo.git"


def test_a_process_that_is_no_build_pod_is_refused_and_logged(
    start: Start, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    door = start()
    config = replace(door.config, state_dir=f"{state}/real")  # each door empties its own when it starts
    real = Door(
        config,
        door.door._pods,
        door.door._pusher,
        door.door.builds._steps,
        lambda built: "",
    )  # with the kernel's own answer to who calls
    thread = threading.Thread(target=real.serve, args=(listen(f"{state}/real.sock"),))
    thread.start()
    try:
        with pytest.raises(DoorError, match="belongs to no pod"):
            list(client.build(make_header(), lambda send: None, f"{state}/real.sock"))
    finally:
        real.stopping = True
        thread.join(10)
    said = next(event for event in events_in(capsys.readouterr().err) if event["event"] == "refused")
    assert said["reason"] == "not-a-pod"
    assert f"process {os.getpid()} " in said["fault"]


def test_a_pod_that_is_unknown_is_refused(door: RunningDoor) -> None:
    door.pods.clear()
    with pytest.raises(DoorError, match="is not a build pod of namespace binderhub"):
        door.build("say no")


def test_a_context_above_the_ceiling_is_cut_while_it_is_sent(
    door: RunningDoor, capsys: pytest.CaptureFixture[str]
) -> None:
    member = tarfile.TarInfo("big")
    member.size = 10 << 30
    sent = [0]

    def ten_gigabytes(send: Callable[[bytes], None]) -> None:
        send(member.tobuf())
        for _ in range(10 << 10):
            send(bytes(1 << 20))
            sent[0] += 1

    started = time.monotonic()
    with pytest.raises(DoorError, match="larger than 16 MB"):
        list(client.build(make_header(), ten_gigabytes, door.config.socket))
    assert time.monotonic() - started < 10
    assert sent[0] < 20
    assert events_in(capsys.readouterr().err)[-1]["reason"] == "context-size"
    assert list(Path(door.config.state_dir, "contexts").iterdir()) == []


def test_padding_without_end_is_cut_as_well(door: RunningDoor) -> None:
    def padded(send: Callable[[bytes], None]) -> None:
        send(tar_of(("Dockerfile", b"say no")))
        for _ in range(100):
            send(bytes(1 << 20))

    with pytest.raises(DoorError, match="larger than this node takes"):
        list(client.build(make_header(), padded, door.config.socket))


def test_a_context_that_leads_out_is_refused(door: RunningDoor) -> None:
    with pytest.raises(DoorError, match="leads out of it"):
        list(client.build(make_header(), lambda send: send(tar_of(("../evil", b"x"))), door.config.socket))


def test_the_end_of_the_pod_ends_its_build(
    door: RunningDoor, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sock = _open(door, "say started\nsleep 60")
    assert wire.receive(sock, wire.LOG)[1] == b"started\n"
    assert len(_processes(state)) == 1
    sock.close()
    eventually(lambda: _processes(state) == [], 5)
    eventually(lambda: list(Path(door.config.state_dir, "contexts").iterdir()) == [])
    assert events_in(capsys.readouterr().err)[-1]["fault"] == "the build pod left"


def test_what_is_under_way_in_a_build_is_known_while_it_is(door: RunningDoor) -> None:
    before = time.time() - 1
    sock = _open(door, "say started\nsleep 60")
    assert wire.receive(sock, wire.LOG)[1] == b"started\n"

    (one,) = door.door.builds.running.values()
    eventually(lambda: one.vertices.under_way == {"sleep 60"}, 5)
    assert before <= one.vertices.since[0] <= time.time()
    sock.close()
    eventually(lambda: not door.door.builds.running, 5)
    (left,) = door.door.builds.left.values()
    assert before <= left.since[0] <= left.ended <= time.time()
    _more_pods(door, 1)
    assert door.build("say well") == "well\n"
    assert len(door.door.builds.left) == 1, "one that ends by itself leaves nothing"


def test_a_build_that_was_told_to_end_is_left_before_its_program_is_gone(
    door: RunningDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BuildKit goes on unpacking whoever left, and buildctl waits for it."""
    monkeypatch.setattr("binderbox.parts.builder.door.buildkit.END_WITHIN_S", 3.0)
    sock = _open(door, "stubborn\nsay started\nsleep 60")
    assert wire.receive(sock, wire.LOG)[1] == b"started\n"
    (key,) = door.door.builds.running
    eventually(lambda: door.door.builds.running[key].vertices.under_way == {"sleep 60"}, 5)
    began = time.time()
    door.door.builds.end(key, "it fills the disk")
    (left,) = door.door.builds.left.values()
    assert (key in door.door.builds.running, began <= left.ended <= time.time()) == (True, True)
    eventually(lambda: not door.door.builds.running, 10)
    assert len(door.door.builds.left[key].since) == 1
    sock.close()


def test_where_the_trace_goes_is_no_part_of_the_log(door: RunningDoor) -> None:
    told = 'time="2026-11-29T07:59:14Z" level=info msg="tracing logs to /var/lib/binderbox/door/contexts/x/trace"'
    assert door.build(f"say {told}\nsay mine") == "mine\n"


def test_a_build_that_ignores_its_end_is_killed(
    door: RunningDoor, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("binderbox.parts.builder.door.buildkit.END_WITHIN_S", 0.5)
    sock = _open(door, "stubborn\nsay started\nsleep 60")
    assert wire.receive(sock, wire.LOG)[1] == b"started\n"
    sock.close()
    eventually(lambda: _processes(state) == [], 5)


def test_a_build_has_its_time(start: Start, state: Path) -> None:
    with pytest.raises(DoorError, match="took longer than 1 s"):
        start(max_build_s=1).build("sleep 60")
    assert _processes(state) == []


def test_a_door_that_is_stopped_ends_its_builds_and_says_so(door: RunningDoor, state: Path) -> None:
    sock = _open(door, "say started\nsleep 60")
    assert wire.receive(sock, wire.LOG)[1] == b"started\n"
    door.stop()
    assert "being restarted" in wire.receive_json(sock, wire.RESULT)["error"]
    assert _processes(state) == []


@pytest.mark.parametrize(
    ("way", "bytes_sent"),
    [
        ("says nothing", b""),
        ("drips", None),
        ("speaks another language", b"GET / HTTP/1.1\r\nHost: door\r\n\r\n"),
        ("announces a header of 4 GB", struct.pack(">cI", wire.HEADER, 0xFFFFFFFF)),
        ("sends a header that is no JSON", struct.pack(">cI", wire.HEADER, 4) + b"\xff\xfe{{"),
        ("sends a header that is no object", struct.pack(">cI", wire.HEADER, 2) + b"[]"),
        ("sends a header as deep as a well", struct.pack(">cI", wire.HEADER, 200_000) + b"[" * 200_000),
        ("sends its context first", struct.pack(">cI", wire.DATA, 4) + b"data"),
    ],
)
def test_who_does_not_speak_the_protocol_is_shown_out(
    start: Start, monkeypatch: pytest.MonkeyPatch, way: str, bytes_sent: bytes | None
) -> None:
    monkeypatch.setattr("binderbox.parts.builder.door.server.HEADER_WITHIN_S", 1.0)
    door = start()
    with door.connect() as sock:
        started = time.monotonic()
        if bytes_sent is None:
            for byte in struct.pack(">cI", wire.HEADER, 100) + b"{" * 100:
                try:
                    sock.send(bytes([byte]))
                except OSError:
                    break
                time.sleep(0.05)
        else:
            sock.sendall(bytes_sent)
        assert wire.receive_json(sock, wire.RESULT)["ok"] is False
        assert time.monotonic() - started < 4
    assert door.build("say still here") == "still here\n"


def test_a_context_that_stops_coming_is_given_up(start: Start) -> None:
    door = start(idle_s=1)
    with _open(door) as sock:
        wire.send(sock, wire.DATA, tar_of(("Dockerfile", b"x" * 1000))[:700])
        assert "gave up" in wire.receive_json(sock, wire.RESULT)["error"]


def test_a_pod_that_does_not_read_its_log_is_given_up(start: Start, state: Path) -> None:
    door = start(idle_s=1)
    with _open(door, "flood 200000"):
        eventually(lambda: len(_processes(state)) == 1)
        eventually(lambda: _processes(state) == [], 10)
        eventually(lambda: door.status()["builds"] == [])


def test_a_pod_has_one_build_at_a_time(door: RunningDoor) -> None:
    with _open(door, "sleep 60"), pytest.raises(DoorError, match="has a build at this door already"):
        door.build("say me too")


def test_builds_wait_in_line_and_are_told_their_place(start: Start, state: Path) -> None:
    door = start(build_slots=1)
    _more_pods(door, 3)
    first = _open(door, f"say first\nwait-for {state}/go")
    assert wire.receive(first, wire.LOG)[1] == b"first\n"
    second = _ask(door)
    assert wire.receive(second, wire.LOG)[1].endswith(b"place 1 in line.\n")
    third = _ask(door)
    assert wire.receive(third, wire.LOG)[1].endswith(b"place 2 in line.\n")
    assert [(b["state"], b.get("place")) for b in door.status()["builds"]] == [
        ("building", None),
        ("waiting", 1),
        ("waiting", 2),
    ]
    second.close()  # gives up: the third moves up
    assert wire.receive(third, wire.LOG)[1].endswith(b"place 1 in line.\n")
    (state / "go").touch()
    assert wire.receive_json(first, wire.RESULT)["ok"]
    assert wire.receive(third, wire.GO)[0] == wire.GO
    _send(third, "say third")
    assert wire.receive(third, wire.LOG)[1] == b"third\n"
    assert wire.receive_json(third, wire.RESULT)["ok"]
    first.close()
    third.close()


def test_fifty_callers_at_once_all_get_their_image(start: Start) -> None:
    door = start(build_slots=8)
    _more_pods(door, 50, owners=9)
    with ThreadPoolExecutor(50) as pool:
        logs = list(pool.map(lambda n: door.build(f"say build {n}"), range(50)))
    assert [log.splitlines()[-1] for log in logs] == [f"build {n}" for n in range(50)]
    eventually(lambda: door.status()["builds"] == [])


def test_callers_above_the_ceiling_are_turned_away_and_others_served(start: Start) -> None:
    door = start(max_connections=3, build_slots=6)
    _more_pods(door, 3)
    held = [_open(door) for _ in range(3)]
    with pytest.raises(DoorError, match="as many builds in line"):
        door.build("say no")
    for sock in held:
        sock.close()
    eventually(lambda: door.status()["builds"] == [])
    assert door.build("say yes") == "yes\n"


def test_misbehaving_callers_harm_no_build(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderbox.parts.builder.door.server.HEADER_WITHIN_S", 600.0)
    door = start()
    _more_pods(door, 31)
    bad = [door.connect() for _ in range(30)]
    for number, sock in enumerate(bad):
        if number % 3 == 0:
            sock.sendall(os.urandom(4096))
        elif number % 3 == 1:
            sock.close()
    assert door.build("say unharmed") == "unharmed\n"
    for silent in bad[2::3]:  # none of them was waited for: they are not shown out yet
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.recv(1)
    for sock in bad:
        sock.close()


def test_what_a_killed_door_left_is_cleared_and_its_socket_replaced(start: Start, state: Path) -> None:
    (state / "contexts/old").mkdir(parents=True)
    (state / "contexts/old/file").touch()
    dead = listen(f"{state}/door.sock")
    dead.close()
    assert start().build("say new") == "new\n"
    assert not (state / "contexts/old").exists()


def test_the_socket_is_roots_alone(door: RunningDoor) -> None:
    assert os.stat(door.config.socket).st_mode & 0o777 == 0o600


def test_the_door_starts_from_its_config_tells_systemd_and_ends_on_sigterm(state: Path) -> None:
    import json
    from dataclasses import asdict, replace

    from .conftest import make_config

    # whatever ctr this machine has, or none
    config = replace(make_config(state), ctr=("true",))
    (state / "door.json").write_text(json.dumps(asdict(config)))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"{state}/notify")
        systemd.settimeout(10)
        process = subprocess.Popen(
            [sys.executable, "-m", "binderbox.parts.builder.door", f"{state}/door.json"],
            env={**os.environ, "NOTIFY_SOCKET": f"{state}/notify"},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert systemd.recv(100) == b"READY=1"
        with pytest.raises(DoorError, match="belongs to no pod"):
            list(client.build(make_header(), lambda send: None, f"{state}/door.sock"))
        assert systemd.recv(100) == b"WATCHDOG=1"
        process.send_signal(signal.SIGTERM)
        said = systemd.recv(100)
        while said == b"WATCHDOG=1":
            said = systemd.recv(100)
        assert said == b"STOPPING=1"
        _, journal = process.communicate(timeout=10)
    assert process.returncode == 0
    assert [event["event"] for event in events_in(journal)] == ["open", "refused", "closed"], journal


def test_a_door_without_a_config_says_what_it_needs(state: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "binderbox.parts.builder.door", f"{state}/none"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert events_in(done.stderr)[0]["event"] == "no-config"
