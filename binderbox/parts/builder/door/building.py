"""One build from its permit to its image: a slot, then the context, then BuildKit, then the pusher."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable

from ..engine import wire
from .buildkit import Ended, build_command, run_build
from .config import DoorConfig
from .events import say
from .pods import Permit
from .pusher import Pusher
from .request import BuildRequest
from .slots import Slots
from .sockets import still_there
from .status import Status
from .workplace import Workplace, Workplaces

BUILDER_BACK_S = 60.0  # for a builder that was restarted


class Builds:
    """All builds of the door. A context is taken only once its build has a slot, so the slots bound what lies on the disk."""

    def __init__(
        self, config: DoorConfig, pusher: Pusher, status: Status, stopping: Callable[[], bool]
    ) -> None:
        self._config = config
        self._pusher = pusher
        self._status = status
        self._stopping = stopping
        self._slots = Slots(config.build_slots)
        self._workplaces = Workplaces(config)

    def clear(self) -> None:
        """Begin anew, without what a killed door left behind."""
        self._workplaces.clear()

    def build(self, pod: socket.socket, permit: Permit, request: BuildRequest, key: str) -> dict[str, object]:
        """The answer for the pod; its place in line and the log go to it meanwhile."""
        came = time.monotonic()
        turn = self._slots.turn(
            permit.names, lambda place: self._tell_place(pod, key, place), lambda: still_there(pod)
        )
        with turn, self._workplaces.one() as place:
            waited_s = time.monotonic() - came
            self._status.moved(key, "context")
            wire.send(pod, wire.GO)
            size = self._workplaces.receive(pod, place)
            self._status.moved(key, "building")
            who = {
                "repository": permit.repository,
                "tag": permit.tag,
                "pod": permit.pod,
                "uid": permit.uid,
            }
            say("build-started", **who, context_mb=size >> 20, waited_s=round(waited_s, 1))
            ended = self._run(pod, permit, request, place)
            seconds = round(time.monotonic() - came, 1)
            say("build-ended", **who, ok=not ended.fault, fault=ended.fault, seconds=seconds)
            if ended.fault:
                return {"ok": False, "error": ended.fault, "seconds": seconds}
            digest = json.loads(place.metadata.read_text())["containerimage.digest"]
        self._pusher.add(permit.tag, digest, permit.repository)
        return {"ok": True, "digest": digest, "seconds": seconds}

    def _run(self, pod: socket.socket, permit: Permit, request: BuildRequest, place: Workplace) -> Ended:
        """Run buildctl; once more when the builder went away under it, whose fault the build is not."""
        command = build_command(self._config, permit, request, str(place.context), str(place.metadata))
        for last in (False, True):
            ended = run_build(
                command,
                str(place.home),
                pod,
                self._config.max_build_s,
                self._config.build_step_memory_mb / 1000,
                lambda text: _log(pod, text),
                self._stopping,
            )
            if not ended.again or last:
                break
            say("build-again", repository=permit.repository, tag=permit.tag, fault=ended.fault)
            _log(pod, b"The builder of this node was restarted. Building once more.\n")
            _wait_for(self._config.buildkit_address, lambda: still_there(pod))
        return ended

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
