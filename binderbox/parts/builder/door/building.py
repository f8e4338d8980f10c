"""One build from its permit to its image: a slot, then the context, then BuildKit, then the pusher."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...events import say
from ..engine import wire
from . import dockerfile, frontend
from .buildkit import Ended, run_build
from .command import build_command
from .config import DoorConfig
from .pods import Permit
from .pusher import Pusher
from .reasons import AGAIN
from .refusal import Refused
from .request import BuildRequest
from .slots import Slots
from .sockets import still_there
from .status import Status
from .steps import Steps, mark
from .vertices import Vertices
from .workplace import Workplace, Workplaces

RESTARTED = f"The build door of this node is being restarted. {AGAIN}"
MOST_LEFT = 100
UNPACK_S = 600.0  # nothing is built in it
BUILDER_BACK_S = 60.0  # for a builder that was restarted


@dataclass
class Running:
    """A build that BuildKit has; `began` in seconds of the monotonic clock, `ended` why it is to end, if it is, and
    `ended_at` since when, in seconds since 1970; `killed` whether its steps were."""

    began: float
    ended: str = ""
    ended_at: float = 0.0
    killed: bool = False
    vertices: Vertices = field(default_factory=Vertices)


@dataclass(frozen=True)
class Left:
    """A build that ended while BuildKit was not done: what it unpacks no client can end. Times in seconds since 1970:
    `ended`, and since when each thing was under way."""

    ended: float
    since: tuple[float, ...]


class Builds:
    """All builds of the door. A context is taken only once its build has a slot, so the slots bound what lies on the disk.

    + launchable: has an image that BuildKit has exported ready for its launch, or says why it cannot
    """

    def __init__(
        self,
        config: DoorConfig,
        pusher: Pusher,
        status: Status,
        steps: Steps,
        launchable: Callable[[Mapping[str, Any]], str],
        stopping: Callable[[], bool],
    ) -> None:
        self._config = config
        self._pusher = pusher
        self._status = status
        self._steps = steps
        self._launchable = launchable
        self._stopping = stopping
        self._running: dict[str, Running] = {}
        self._left: dict[str, Left] = {}
        self._lock = threading.Lock()
        self._slots = Slots(config.build_slots)
        self._workplaces = Workplaces(config)

    @property
    def running(self) -> dict[str, Running]:
        """Those that BuildKit has, by their keys."""
        return dict(self._running)

    @property
    def left(self) -> dict[str, Left]:
        """Those that have ended so far, and those that were told to: buildctl waits for what BuildKit does not stop."""
        told = {key: Left(one.ended_at, one.vertices.since) for key, one in self.running.items() if one.ended}
        return self._left | told

    def end(self, key: str, why: str) -> bool:
        """End one, its steps at once; its visitor reads why. Whether there was anything to end.

        A step that it shared with another build goes on for that one, under this one's mark: asked again, it is ended too.
        """
        one = self._running.get(key)
        if one is None or one.ended:
            return self._steps.kill(key)
        one.ended, one.ended_at = why, time.time()
        one.killed = self._kill_steps(key, one)
        return True

    def clear(self) -> None:
        """Begin anew, without what a killed door left behind."""
        self._workplaces.clear()

    def sweep(self) -> None:
        """Take away contexts that no build has any more."""
        self._workplaces.sweep()

    def build(self, pod: socket.socket, permit: Permit, request: BuildRequest, key: str) -> dict[str, object]:
        """The answer for the pod; its place in line and the log go to it meanwhile."""
        came = time.monotonic()
        if digest := self._pusher.have(permit.tag, permit.repository):
            say("build-spared", repository=permit.repository, tag=permit.tag, pod=permit.pod)
            _log(pod, b"This node has built it before, and has it still.\n")
            return {"ok": True, "digest": digest, "seconds": round(time.monotonic() - came, 1)}
        turn = self._slots.turn(
            permit.names, lambda place: self._tell_place(pod, key, place), lambda: still_there(pod)
        )
        with turn, self._workplaces.one() as place:
            waited_s = time.monotonic() - came
            self._status.moved(key, "context")
            wire.send(pod, wire.GO)
            size = self._workplaces.receive(pod, place)
            wanted = frontend.asked(dockerfile.read(place.context, request.dockerfile))
            if wanted and not wanted.is_dockers:
                raise Refused("frontend", frontend.foreign(wanted, request.dockerfile))
            if wanted:
                _log(pod, f"{frontend.ignored(wanted, request.dockerfile)}\n".encode())
            self._status.moved(key, "building")
            who = {
                "repository": permit.repository,
                "tag": permit.tag,
                "pod": permit.pod,
                "uid": permit.uid,
            }
            say("build-started", **who, context_mb=size >> 20, waited_s=round(waited_s, 1))
            ended = self._run(pod, permit, request, place, key)
            seconds = round(time.monotonic() - came, 1)
            say("build-ended", **who, ok=not ended.fault, fault=ended.fault, seconds=seconds)
            if ended.fault:
                labs = f" {frontend.labs(wanted, request.dockerfile)}" if wanted and wanted.is_labs else ""
                return {"ok": False, "error": f"{ended.fault}{labs}", "seconds": seconds}
            digest = json.loads(place.metadata.read_text())["containerimage.digest"]
        self._pusher.add(permit.tag, digest, permit.repository)
        return {"ok": True, "digest": digest, "seconds": seconds}

    def _run(
        self, pod: socket.socket, permit: Permit, request: BuildRequest, place: Workplace, key: str
    ) -> Ended:
        """Run buildctl; once more when the builder went away under it, whose fault the build is not."""
        running = self._running[key] = Running(time.monotonic())
        try:
            ended = self._try_twice(pod, permit, request, place, key, running, unpack=False)
            if not ended.fault and (why := self._launchable(json.loads(place.metadata.read_text()))):
                _log(pod, b"Unpacking the image.\n")
                say("unpacks", repository=permit.repository, tag=permit.tag, fault=why)
                ended = self._try_twice(pod, permit, request, place, key, running, unpack=True)
            return ended
        finally:
            del self._running[key]
            if since := running.vertices.since:
                with self._lock:
                    kept = [*self._left.items(), (key, Left(time.time(), since))]
                    self._left = dict(kept[-MOST_LEFT:])

    def _try_twice(
        self,
        pod: socket.socket,
        permit: Permit,
        request: BuildRequest,
        place: Workplace,
        key: str,
        running: Running,
        *,
        unpack: bool,
    ) -> Ended:
        command = build_command(self._config, permit, request, place, mark(key), unpack=unpack)
        for last in (False, True):
            running.vertices = Vertices()
            ended = run_build(
                command,
                place,
                running.vertices,
                pod,
                UNPACK_S if unpack else self._config.max_build_s,
                self._config.build_step_memory_mb / 1000,
                (lambda text: None) if unpack else (lambda text: _log(pod, text)),
                lambda: running.ended or (RESTARTED if self._stopping() else ""),
                lambda: running.killed or self._kill_steps(key, running),
            )
            if not ended.again:
                break
            for step in self._steps.of(key):  # its owner is gone, and nobody takes it up
                say("step-ended", repository=permit.repository, step=step.id, gone=self._steps.end(step))
            if last:
                break
            say("build-again", repository=permit.repository, tag=permit.tag, fault=ended.fault)
            _log(pod, b"The builder of this node was restarted. Building once more.\n")
            _wait_for(self._config.buildkit_address, lambda: still_there(pod))
        return ended

    def _kill_steps(self, key: str, build: Running) -> bool:
        """Whether there were any. Not what another build waits for as well: BuildKit runs what is the same in two builds once."""
        others = {
            one
            for other, running in self._running.items()
            if other != key
            for one in running.vertices.under_way
        }
        return not build.vertices.under_way & others and self._steps.kill(key)

    def _tell_place(self, pod: socket.socket, key: str, place: int) -> None:
        self._status.moved(key, "waiting", place)
        _log(pod, f"Waiting for a build slot of this node: place {place} in line.\n".encode())


def _log(pod: socket.socket, text: bytes) -> None:
    for start in range(0, len(text), wire.CHUNK):
        wire.send(pod, wire.LOG, text[start : start + wire.CHUNK])


def _wait_for(address: str, still_there: Callable[[], None]) -> None:
    """Until a unix socket answers again, or its time is over and the next try says so."""
    deadline = time.monotonic() + BUILDER_BACK_S
    while time.monotonic() < deadline:
        still_there()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            if sock.connect_ex(address.removeprefix("unix://")) == 0:
                return
        time.sleep(0.5)
