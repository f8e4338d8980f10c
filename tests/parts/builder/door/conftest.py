"""A real door on a real unix socket. Replaced are who calls (a test is in no pod), the API server's answer
(recorded), buildctl (a script that a Dockerfile steers) and containerd."""

from __future__ import annotations

import json
import shutil
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from binderbox.parts.builder.door.cgroup import PodProcess
from binderbox.parts.builder.door.config import DoorConfig
from binderbox.parts.builder.door.containerd import ContainerdError
from binderbox.parts.builder.door.listening import listen
from binderbox.parts.builder.door.pusher import Budget, Pusher
from binderbox.parts.builder.door.server import Door
from binderbox.parts.builder.door.spool import Spool
from binderbox.parts.builder.door.steps import Steps
from binderbox.parts.builder.door.workplace import Workplace
from binderbox.parts.builder.engine import client
from binderbox.parts.telling import Telling

HERE = Path(__file__).parent
POD: dict[str, Any] = json.loads((HERE / "recorded/build_pod.json").read_text())
UID: str = POD["metadata"]["uid"]
CONTAINER = POD["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
PLENTY = Budget(1 << 40, 1000)
TAG: str = POD["spec"]["containers"][0]["args"][2].removeprefix("--image=")


PLACE = Workplace(Path("/c"), Path("/h"), Path("/m"), Path("/t"))


def make_config(state: Path) -> DoorConfig:
    return DoorConfig(
        socket=f"{state}/door.sock",
        state_dir=str(state),
        status_file=f"{state}/status.json",
        image_prefix="registry.binderbox.svc:5000/i-",
        reserved_images=("registry.binderbox.svc:5000/i-pause:3.10",),
        platform="linux/amd64",
        build_slots=2,
        push_slots=1,
        push_lock=f"{state}/push.lock",
        max_connections=80,
        max_context_mb=16,
        max_context_files=1000,
        max_build_s=20,
        build_memory_mb=8000,
        build_step_memory_mb=4700,
        free_floor_mb=1,
        free_ceiling_mb=2,
        images_free_mb=1,
        eviction_mb=1,
        pins_mb=1000,
        pins=1000,
        audit_file=f"{state}/audit.log",
        tasks_dir=f"{state}/tasks",
        slice_dirs=(f"{state}/slice",),
        memory_dirs=(f"{state}/memory",),
        freezer_dir=f"{state}/freezer",
        containerd_root=f"{state}/containerd",
        idle_s=5,
        push_attempts_s=3600,
        buildctl=str(HERE / "buildctl.py"),
        buildkit_address="unix:///nowhere.sock",
        buildkit_records=f"{state}/metadata_v2.db",
        buildkit_unit="buildkitd.service",
        ctr=("ctr",),
        containerd_socket="/nowhere.sock",
        containerd_namespace="k8s.io",
        api_server="https://127.0.0.1:1",
        api_ca_file="/nowhere",
        api_token_file="/nowhere",
        namespace="binderhub",
        registry="registry.binderbox.svc:5000",
        registry_url="http://10.43.0.50:5000",
        registry_user_file="/nowhere",
        registry_password_file="/nowhere",
        docker_login_file="/nowhere",
        step_proxy=(),
    )


@dataclass
class ImageRecords:
    """Image records as containerd keeps them: what the door pins, pushes and lets go."""

    pins: set[str] = field(default_factory=set)
    layers_of: dict[str, dict[str, int]] = field(default_factory=dict)
    pushed: list[str] = field(default_factory=list)
    broken: bool = False
    broken_list: bool = False
    built_here: dict[str, str] = field(default_factory=dict)
    absent: bool = False

    def pin(self, tag: str, digest: str) -> None:
        self.pins.add(tag)

    def built(self) -> dict[str, str]:
        if self.broken_list:
            raise ContainerdError("ctr images: context deadline exceeded")
        return dict(self.built_here)

    def unpin(self, tag: str) -> None:
        self.pins.discard(tag)

    def pinned(self) -> set[str]:
        return set(self.pins)

    def digest(self, tag: str) -> str:
        return "" if self.absent else "sha256:" + "0" * 64

    def layers(self, digest: str) -> dict[str, int]:
        return self.layers_of.get(digest, {})

    def push(self, tag: str) -> None:
        if self.broken:
            raise ContainerdError("ctr push: connection refused")
        self.pushed.append(tag)


@dataclass
class RunningDoor:
    config: DoorConfig
    door: Door
    images: ImageRecords
    pods: dict[str, dict[str, Any]]
    callers: list[PodProcess]
    not_launchable: list[str]
    stop: Callable[[], None]

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(20)
        sock.connect(self.config.socket)
        return sock

    def build(self, dockerfile: str, **header: Any) -> str:
        """Build a context that is one Dockerfile, with the real client; return the log or raise DoorError."""
        return "".join(client.build(make_header(**header), send_dockerfile(dockerfile), self.config.socket))

    def status(self) -> dict[str, Any]:
        return json.loads(Path(self.config.status_file).read_text())  # type: ignore[no-any-return]


def make_pusher(
    state: Path, images: ImageRecords, give_up_s: float = 3600, budget: Budget = PLENTY
) -> Pusher:
    telling = Telling(state / "told.json", state / "audit.log", "build door")
    return Pusher(Spool(state / "spool"), images, give_up_s, budget, telling)


def no_command(words: Sequence[str]) -> str:
    raise AssertionError(f"nothing is to be run here: {words}")


def make_header(**changes: Any) -> dict[str, Any]:
    return {"tag": TAG, "dockerfile": "Dockerfile", "buildargs": {}, "labels": {}, "platform": "", **changes}


def send_dockerfile(text: str) -> Callable[[Callable[[bytes], None]], None]:
    return lambda send: send(tar_of(("Dockerfile", text.encode())))


def tar_of(*files: tuple[str, bytes]) -> bytes:
    import io
    import tarfile

    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


@pytest.fixture
def state() -> Iterator[Path]:
    """A directory with a short name: a unix socket's path has 107 characters at most."""
    directory = Path(tempfile.mkdtemp(prefix="door"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)  # a thread of the test may write there to its end


@pytest.fixture
def start(state: Path) -> Iterator[Callable[..., RunningDoor]]:
    running: list[RunningDoor] = []

    def go(**changes: Any) -> RunningDoor:
        config = replace(make_config(state), **changes)
        pods = {UID: json.loads(json.dumps(POD))}
        callers: list[PodProcess] = []
        images, not_launchable = ImageRecords(), list[str]()

        class Lookup:
            def find(self, uid: str, still_there: Callable[[], None]) -> dict[str, Any] | None:
                return pods.get(uid)

        def who(sock: socket.socket, accepted: float) -> tuple[int, PodProcess]:
            pid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
            return pid, callers.pop(0) if callers else PodProcess(UID, CONTAINER)

        pusher = make_pusher(state, images, config.push_attempts_s)
        door = Door(
            config,
            Lookup(),
            pusher,
            Steps(Path(config.tasks_dir), (), (), no_command),
            lambda built: not_launchable.pop() if not_launchable else "",
            who,
        )
        thread = threading.Thread(target=door.serve, args=(listen(config.socket),))
        thread.start()

        def stop() -> None:
            door.stopping = True
            thread.join(30)
            assert not thread.is_alive()

        running.append(RunningDoor(config, door, images, pods, callers, not_launchable, stop))
        return running[-1]

    yield go
    for one in running:
        one.stop()


@pytest.fixture
def door(start: Callable[..., RunningDoor]) -> RunningDoor:
    return start()


def eventually(holds: Callable[[], bool], within_s: float = 10) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def events_in(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
