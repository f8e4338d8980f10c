"""The door itself: one thread per caller, and none of them can hold another one up.

Who calls is found out, and whether there is room for it, before a thread is spent on it: one process that opens sockets
costs each of them a look into /proc, and nobody else a place.
"""

from __future__ import annotations

import socket
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ...events import say, say_seldom
from ..engine import wire
from .building import Builds
from .caller import identify
from .callers import FULL, Callers, Full
from .cgroup import PodProcess
from .config import DoorConfig
from .pods import PodLookup, judge_pod, repository_of
from .pusher import Pusher
from .refusal import Refused
from .request import parse_request
from .sockets import still_there
from .status import Status
from .steps import Steps

HEADER_WITHIN_S = 10.0
TAKE_A_BREATH_S = 0.1  # when the machine has no more descriptors or threads for us

Identify = Callable[[socket.socket, float], tuple[int, PodProcess]]


class Door:
    """Builds what build pods hand in. `identify` tells who calls; tests put another in its place.

    `launchable`: see Builds. `alive` is called about twice a second for as long as callers are taken.
    """

    def __init__(
        self,
        config: DoorConfig,
        pods: PodLookup,
        pusher: Pusher,
        steps: Steps,
        launchable: Callable[[Mapping[str, Any]], str],
        who: Identify = identify,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._pods = pods
        self._pusher = pusher
        self._identify = who
        self._alive = alive
        self._callers = Callers(config.max_connections)
        self.status = Status(config.status_file, config.build_slots, pusher.spool, pusher.telling)
        self.builds = Builds(config, pusher, self.status, steps, launchable, lambda: self.stopping)
        self.stopping = False

    def serve(self, listener: socket.socket) -> None:
        """Accept callers until `stopping`; then wait for the builds that are being ended."""
        self.builds.clear()
        self.status.write()
        threads: set[threading.Thread] = set()
        listener.settimeout(0.5)
        while not self.stopping:
            self._alive()
            threads = {thread for thread in threads if thread.is_alive()}
            try:
                pod, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError as error:  # EMFILE, ENFILE, ENOBUFS, ENOMEM: the next one may find room
                say_seldom("not-accepted", fault=str(error))
                time.sleep(TAKE_A_BREATH_S)
                continue
            if thread := self._meet(pod):
                threads.add(thread)
        listener.close()
        for thread in threads:
            thread.join(20)

    def _meet(self, pod: socket.socket) -> threading.Thread | None:
        """A thread for who has just come, or None for who was turned away at once."""
        accepted = time.clock_gettime(time.CLOCK_BOOTTIME)
        try:
            pid, process = self._identify(pod, accepted)
            self._callers.enter(process.uid)
        except Refused as refused:
            say_seldom("refused", refused.reason, reason=refused.reason, fault=str(refused))
            _turn_away(pod, f"The build door refused: {refused}")
            return None
        except Full as full:
            say_seldom("refused", "full", reason="full", callers=self._config.max_connections)
            _turn_away(pod, str(full))
            return None
        except OSError as error:  # no descriptor left to look at it with
            say_seldom("not-accepted", fault=str(error))
            _turn_away(pod, FULL)
            return None
        thread = threading.Thread(target=self._greet, args=(pod, pid, process), daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads
            say_seldom("refused", "no-thread", reason="no-thread", fault=str(error))
            self._callers.leave(process.uid)
            _turn_away(pod, FULL)
            return None
        return thread

    def _greet(self, pod: socket.socket, pid: int, process: PodProcess) -> None:
        with pod:
            pod.settimeout(self._config.idle_s)
            try:
                result = self._serve_one(pod, pid, process)
            finally:
                self._callers.leave(process.uid)  # first: who has its answer may come again
            _answer(pod, result)

    def _serve_one(self, pod: socket.socket, pid: int, process: PodProcess) -> dict[str, Any]:
        known: dict[str, object] = {"pid": pid, "uid": process.uid}
        try:
            shown = self._pods.find(process.uid, lambda: still_there(pod))
            known.update(repository=repository_of(shown or {}))
            permit = judge_pod(
                shown,
                process,
                self._config.namespace,
                self._config.image_prefix,
                self._config.reserved_images,
            )
            known.update(pod=permit.pod, tag=permit.tag)
            with self.status.build(permit) as key:
                header = wire.receive_json(pod, wire.HEADER, HEADER_WITHIN_S)
                request = parse_request(header, permit.tag, self._config.platform)
                return self.builds.build(pod, permit, request, key)
        except Refused as refused:
            say("refused", reason=refused.reason, fault=str(refused), **known)
            return {"ok": False, "error": f"The build door refused: {refused}"}
        except (wire.WireError, OSError) as error:
            say("broken-off", fault=str(error) or type(error).__name__, **known)
            return {"ok": False, "error": f"The build door gave up: {error}"}
        except Exception as error:
            say("bug", fault=repr(error), trace=traceback.format_exc(), **known)
            return {"ok": False, "error": "The build door failed; the node's journal knows more."}


def _turn_away(pod: socket.socket, error: str) -> None:
    """Say why and close, without waiting: what this caller may still send is nobody's business."""
    with pod, suppress(wire.WireError, OSError):
        pod.setblocking(False)
        wire.send_json(pod, wire.RESULT, {"ok": False, "error": error})


def _answer(pod: socket.socket, result: dict[str, Any]) -> None:
    """Send the last frame; a pod that still sends its context finds it after its own end has broken (unix(7))."""
    with suppress(wire.WireError, OSError):
        pod.settimeout(2.0)
        wire.send_json(pod, wire.RESULT, result)
