"""The door itself: one thread per caller, and none of them can hold another one up."""

from __future__ import annotations

import json
import os
import secrets
import select
import shutil
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..engine import wire
from .buildkit import build_command, run_build
from .caller import identify
from .cgroup import PodProcess
from .config import DoorConfig
from .events import say
from .pods import Permit, PodLookup, judge_pod, repository_of
from .pusher import Pusher
from .refusal import Refused
from .request import BuildRequest, parse_request
from .slots import Slots
from .status import Status
from .stream import ContextStream
from .unpack import unpack

HEADER_WITHIN_S = 10.0
CONTEXT_WITHIN_S = 900.0  # 2 GB at 2 MB a second: a pod and its node are one machine
TAIL_LINES = 20


Identify = Callable[[socket.socket, float], tuple[int, PodProcess]]


class Door:
    """Builds what build pods hand in. `identify` tells who calls; tests put another in its place."""

    def __init__(self, config: DoorConfig, pods: PodLookup, pusher: Pusher, who: Identify = identify) -> None:
        self._config = config
        self._pods = pods
        self._pusher = pusher
        self._identify = who
        self._slots = Slots(config.build_slots)
        self._callers = threading.BoundedSemaphore(config.max_connections)
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self._contexts = Path(config.state_dir, "contexts")
        self.status = Status(config.status_file, config.build_slots, pusher.spool)
        self.stopping = False

    def serve(self, listener: socket.socket) -> None:
        """Accept callers until `stopping`; then wait for the builds that are being ended."""
        shutil.rmtree(self._contexts, ignore_errors=True)  # what a killed door left behind
        self._contexts.mkdir(mode=0o700, parents=True)
        self.status.write()
        threads: list[threading.Thread] = []
        listener.settimeout(0.5)
        while not self.stopping:
            try:
                pod, _ = listener.accept()
            except TimeoutError:
                threads = [thread for thread in threads if thread.is_alive()]
                continue
            accepted = time.clock_gettime(time.CLOCK_BOOTTIME)
            thread = threading.Thread(target=self._greet, args=(pod, accepted), daemon=True)
            thread.start()
            threads.append(thread)
        listener.close()
        for thread in threads:
            thread.join(20)

    def _greet(self, pod: socket.socket, accepted: float) -> None:
        with pod:
            if not self._callers.acquire(blocking=False):
                say("refused", reason="full", callers=self._config.max_connections)
                _answer(pod, {"ok": False, "error": "too many callers at the build door; please try again"})
                return
            try:
                self._serve_one(pod, accepted)
            finally:
                self._callers.release()

    def _serve_one(self, pod: socket.socket, accepted: float) -> None:
        known: dict[str, object] = {}
        pod.settimeout(self._config.idle_s)
        try:
            pid, process = self._identify(pod, accepted)
            known.update(pid=pid, uid=process.uid)
            shown = self._pods.find(process.uid)
            known.update(repository=repository_of(shown or {}))
            permit = judge_pod(
                shown,
                process,
                self._config.namespace,
                self._config.image_prefix,
                self._config.reserved_images,
            )
            known.update(pod=permit.pod, tag=permit.tag)
            with self._alone(permit), self.status.build(permit) as key:
                header = wire.receive_json(pod, wire.HEADER, HEADER_WITHIN_S)
                request = parse_request(header, permit.tag, self._config.platform)
                wire.send(pod, wire.GO)
                result = self._build(pod, permit, request, key)
        except Refused as refused:
            say("refused", reason=refused.reason, fault=str(refused), **known)
            result = {"ok": False, "error": f"The build door refused: {refused}"}
        except (wire.WireError, OSError) as error:
            say("broken-off", fault=str(error) or type(error).__name__, **known)
            result = {"ok": False, "error": f"The build door gave up: {error}"}
        except Exception as error:
            say("bug", fault=repr(error), trace=traceback.format_exc(), **known)
            result = {"ok": False, "error": "The build door failed; the node's journal knows more."}
        _answer(pod, result)

    def _build(
        self, pod: socket.socket, permit: Permit, request: BuildRequest, key: str
    ) -> dict[str, object]:
        config, started = self._config, time.monotonic()
        with self._workplace() as place:
            context, home, metadata = place / "context", place / "home", place / "metadata.json"
            context.mkdir()
            home.mkdir()
            size = self._receive(pod, context)
            line = self._slots.turn(
                permit.repository, lambda n: self._tell_place(pod, key, n), lambda: _still_there(pod)
            )
            with line:
                waited_s = time.monotonic() - started
                self.status.moved(key, "building")
                who = {
                    "repository": permit.repository,
                    "tag": permit.tag,
                    "pod": permit.pod,
                    "uid": permit.uid,
                }
                say("build-started", **who, context_mb=size >> 20, waited_s=round(waited_s, 1))
                ended = run_build(
                    build_command(config, permit, request, str(context), str(metadata)),
                    str(home),
                    pod,
                    config.max_build_s,
                    lambda text: _log(pod, text),
                    lambda: self.stopping,
                )
                seconds = round(time.monotonic() - started, 1)
                say("build-ended", **who, ok=not ended.fault, fault=ended.fault, seconds=seconds)
            if ended.fault:
                tail = "\n".join(ended.tail.splitlines()[-TAIL_LINES:])
                return {"ok": False, "error": ended.fault, "tail": tail, "seconds": seconds}
            digest = json.loads(metadata.read_text())["containerimage.digest"]
        self._pusher.add(permit.tag, digest, permit.repository)
        return {"ok": True, "digest": digest, "seconds": seconds}

    def _receive(self, pod: socket.socket, context: Path) -> int:
        config = self._config
        ceiling = config.max_context_mb << 20
        stream = ContextStream(
            pod, ceiling + config.max_context_files * 2048, config.idle_s, CONTEXT_WITHIN_S
        )
        size = unpack(stream, str(context), ceiling, config.max_context_files, secrets.randbelow(10**9))
        stream.finish()
        return size

    def _tell_place(self, pod: socket.socket, key: str, place: int) -> None:
        self.status.moved(key, "waiting", place)
        _log(pod, f"Waiting for a build slot of this node: place {place} in line.\n".encode())

    @contextmanager
    def _alone(self, permit: Permit) -> Iterator[None]:
        with self._lock:
            if permit.uid in self._busy:
                raise Refused("busy", f"pod {permit.pod} has a build at this door already")
            self._busy.add(permit.uid)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(permit.uid)

    @contextmanager
    def _workplace(self) -> Iterator[Path]:
        place = self._contexts / secrets.token_hex(8)
        place.mkdir(mode=0o700)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


def listen(path: str) -> socket.socket:
    """Return a socket that listens at `path`, in place of one that an earlier door left."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    partial = f"{path}.new"
    with suppress(FileNotFoundError):
        os.unlink(partial)
    listener.bind(partial)
    os.chmod(partial, 0o600)  # build pods run as root; whoever else gets here is refused by what it is
    listener.listen(128)
    os.rename(partial, path)
    return listener


def _log(pod: socket.socket, text: bytes) -> None:
    for start in range(0, len(text), wire.CHUNK):
        wire.send(pod, wire.LOG, text[start : start + wire.CHUNK])


def _still_there(pod: socket.socket) -> None:
    if select.select([pod], [], [], 0)[0]:
        raise wire.Closed("the build pod left while it waited")


def _answer(pod: socket.socket, result: dict[str, object]) -> None:
    """Send the last frame and close; what the pod still sends is read for a moment, never a whole context."""
    with suppress(wire.WireError, OSError):
        pod.settimeout(2.0)
        wire.send_json(pod, wire.RESULT, result)
        pod.shutdown(socket.SHUT_WR)
        left, deadline = 1 << 20, time.monotonic() + 2.0
        while left > 0 and time.monotonic() < deadline and (piece := pod.recv(wire.CHUNK)):
            left -= len(piece)
