"""The door itself: one thread per caller, and none of them can hold another one up."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ..engine import wire
from .buildkit import Ended, build_command, run_build
from .caller import identify
from .cgroup import PodProcess
from .config import DoorConfig
from .events import say
from .pods import Permit, PodLookup, judge_pod, repository_of
from .pusher import Pusher
from .reasons import AGAIN
from .refusal import Refused
from .request import BuildRequest, parse_request
from .slots import Slots
from .status import Status
from .workplace import Workplace, Workplaces

HEADER_WITHIN_S = 10.0
BUILDER_BACK_S = 60.0  # for a builder that was restarted


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
        self._workplaces = Workplaces(config)
        self.status = Status(config.status_file, config.build_slots, pusher.spool)
        self.stopping = False

    def serve(self, listener: socket.socket) -> None:
        """Accept callers until `stopping`; then wait for the builds that are being ended."""
        self._workplaces.clear()
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
                _answer(
                    pod, {"ok": False, "error": f"This node has as many builds in line as it takes. {AGAIN}"}
                )
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
        started = time.monotonic()
        with self._workplaces.one() as place:
            size = self._workplaces.receive(pod, place)
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
                ended = self._run(pod, permit, request, place)
                seconds = round(time.monotonic() - started, 1)
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
                lambda: self.stopping,
            )
            if not ended.again or last:
                break
            say("build-again", repository=permit.repository, tag=permit.tag, fault=ended.fault)
            _log(pod, b"The builder of this node was restarted. Building once more.\n")
            _wait_for(self._config.buildkit_address, lambda: _still_there(pod))
        return ended

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
