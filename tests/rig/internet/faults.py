"""What a server does wrong on request: `faults.add("github.com", r"/k3s$", Fault(status=503), times=2)`."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace

from tests.rig.internet.replies import Asked, Held, Reply, moved, whole


@dataclass(frozen=True)
class Fault:
    """One way in which an answer is wrong; several can be combined.

    + cut: the connection ends after this fraction of the body
    + stall: nothing more comes after this fraction, and the connection stays
    + rate_bytes_s: how fast this answer is
    + status: the answer, with `headers`, instead of what is there
    + headers: over those that belong to the answer
    + body: instead of the right one, or what makes a wrong one of it; the status is 200 unless `status` says another
    + silent: no answer at all, and the connection stays
    + no_ranges: all of it, whichever part was asked for
    + redirect: where to, `{host}` and `{target}` being what was asked: "http://{host}{target}"
    """

    cut: float | None = None
    stall: float | None = None
    rate_bytes_s: int | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Callable[[bytes], bytes] | None = None
    redirect: str | None = None
    silent: bool = False
    no_ranges: bool = False

    @property
    def of_body(self) -> bool:
        """Whether a question without a body in its answer would use it up for nothing."""
        return self.status is None and self.redirect is None


WELL = Fault()


@dataclass
class _Rule:
    host: str
    path: re.Pattern[str]
    fault: Fault
    left: int | None


class Faults:
    """Those that are left, in the order in which they were added; the first that fits a request is used."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()

    def add(self, host: str, path_regex: str, fault: Fault, times: int | None = 1) -> None:
        """For `times` requests, or for ever with None; host "" means every one. `Asked.names` are searched."""
        with self._lock:
            self._rules.append(_Rule(host, re.compile(path_regex), fault, times))

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def take(self, asked: Asked) -> Fault:
        """The fault for this request, used up by one."""
        with self._lock:
            for rule in self._rules:
                fits = rule.host in ("", asked.host) and any(map(rule.path.search, asked.names))
                if not fits or rule.left == 0 or (asked.method != "GET" and rule.fault.of_body):
                    continue
                if rule.left is not None:
                    rule.left -= 1
                return rule.fault
        return WELL


def instead(fault: Fault, asked: Asked) -> Reply | None:
    """The answer for which nobody needs to know the right one."""
    if fault.redirect is not None:
        reply = moved(fault.status or 302, fault.redirect.format(host=asked.host, target=asked.target))
    elif fault.status is not None or isinstance(fault.body, bytes):
        data = fault.body if isinstance(fault.body, bytes) else b"not now\n"
        reply = Reply(fault.status or 200, {"Content-Type": "text/plain"}, Held(data))
    else:
        return None
    return Reply(reply.status, {**reply.headers, **fault.headers}, reply.body)


def understood(fault: Fault, asked: Asked) -> Asked:
    """The question, as far as the fault lets the server understand it."""
    if not fault.no_ranges:
        return asked
    headers = copy(asked.headers)
    del headers["Range"]
    return replace(asked, headers=headers)


def spoiled(fault: Fault, right: Reply) -> Reply:
    """The right answer, as far as the fault leaves it so."""
    if callable(fault.body) and right.status == 200:
        right = Reply(right.status, right.headers, Held(fault.body(whole(right.body))))
    return Reply(right.status, {**right.headers, **fault.headers}, right.body)
