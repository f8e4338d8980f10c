"""Pushes built images to the registry beside their launch, again and again until it works, or until they are too much."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Protocol

from ...events import say
from ...telling import Telling
from .containerd import ContainerdError
from .mounting import Sent, Sources
from .spool import Pending, Spool

FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 300.0
SHORT_SHARE = 0.25  # of what waits is let go at once when the disk is short: the kubelet looks for images every 5 minutes


@dataclass(frozen=True)
class Budget:
    """What may wait for its push, in layers' compressed bytes and in images."""

    size_bytes: int
    images: int


def repository_in(tag: str) -> str:
    """Of an image's whole name, without registry and tag."""
    return tag.partition("/")[2].rpartition(":")[0]


class ImageStore(Protocol):
    def pin(self, tag: str, digest: str) -> None: ...
    def built(self) -> dict[str, str]: ...
    def unpin(self, tag: str) -> None: ...
    def pinned(self) -> set[str]: ...
    def digest(self, tag: str) -> str: ...
    def layers(self, digest: str) -> dict[str, int]: ...
    def push(self, tag: str) -> None: ...


@dataclass
class _Tries:
    count: int = 0
    next_at: float = 0.0
    busy: bool = False


@dataclass
class Pusher:
    """Owns the spool. An image in it carries the pin label, so that image GC leaves it alone."""

    spool: Spool
    images: ImageStore
    give_up_s: float
    budget: Budget
    telling: Telling
    pushing: Callable[[], AbstractContextManager[None]] = nullcontext  # waits while the registry is swept
    sources: Sources | None = None
    after_s: float = 0.0  # from the end of a build to its push, while others build
    busy: Callable[[], bool] = lambda: False
    changed: Callable[[], None] = lambda: None  # after each push
    _tries: dict[str, _Tries] = field(default_factory=dict)
    _wake: threading.Condition = field(default_factory=threading.Condition)
    _pins: threading.Lock = field(default_factory=threading.Lock)  # before _wake, held while containerd works
    _stopped: bool = False
    _learned: bool = False
    _known: set[str] = field(default_factory=set)  # names that were built here; some may have gone since

    def add(self, tag: str, digest: str, repository: str) -> None:
        """Take an image over: when this returns, a restart cannot lose it.

        The pin follows at once but beside: it takes longer than everything else between the end of a build and
        its launch, and the kubelet leaves an image alone for its first two minutes (imageMinimumGCAge).
        """
        with self._wake:
            pending = self.spool.add(tag, digest, repository)
            self._known.add(tag)
            self._wake.notify()
        threading.Thread(target=self._take_over, args=(pending,), daemon=True).start()

    def have(self, tag: str, repository: str) -> str:
        """The digest of an image that was built here and is still there, which is then pushed again; else an empty text.

        The registry is asked before a build is; so it cannot be reached just now, or has forgotten what the node still has.
        """
        if tag not in self._known:  # as nearly always, and then nobody waits for containerd
            return ""
        try:
            digest = self.images.built().get(tag, "")
        except ContainerdError as error:
            say("not-looked", tag=tag, fault=str(error))
            return ""
        if digest:
            self.add(tag, digest, repository)
        return digest

    def learn(self) -> None:
        """Which images an earlier door has built; once, as soon as containerd answers."""
        if not self._learned:
            self._known |= self.images.built().keys()
            self._learned = True

    def _take_over(self, pending: Pending) -> None:
        self._pin_held(pending)
        self._measure(pending)
        self.keep_budget()

    def work(self) -> None:
        """Push until `stop`; run by as many threads as there may be pushes at once."""
        while (pending := self._take()) is not None:
            try:
                self._one(pending)
            except Exception as error:  # of the spool's disk, say: the thread goes on, and comes back to it
                self._put_off(pending)
                say("bug", tag=pending.tag, fault=repr(error))

    def _one(self, pending: Pending) -> None:
        started = time.monotonic()
        sent = None
        try:
            gone = not self.images.digest(pending.tag)
            if not gone:
                with self.pushing():
                    sent = self._push(pending)
        except Exception as error:  # nothing about one image may stop the pushing of others
            self._failed(pending, str(error) or repr(error))
        else:
            self._finished(pending, gone, time.monotonic() - started, sent)

    def _push(self, pending: Pending) -> Sent | None:
        if self.sources is None:
            self.images.push(pending.tag)
            return None
        layers = self.spool.layers(pending) or self.images.layers(pending.digest)
        sent = self.sources.before(layers)
        self.images.push(pending.tag)
        try:
            self.sources.after(repository_in(pending.tag), layers)
        except ContainerdError as error:  # the next image sends what it could have mounted
            say("not-labelled", tag=pending.tag, fault=str(error))
        return sent

    def repin(self) -> None:
        """Put the pin back on everything that waits: a restart of containerd's plugins or a rebuild drops it."""
        try:
            pinned = self.images.pinned()
        except ContainerdError as error:
            say("pin-failed", fault=str(error))
            return
        for pending in self.spool.all():
            if pending.tag not in pinned:
                self._pin_held(pending)
            if not self.spool.layers(pending):
                self._measure(pending)
        self.keep_budget()

    def keep_budget(self) -> None:
        """Let go of the oldest images above the budget: a push that is lost costs one more build, a full disk all of them."""
        waiting, many = self.spool.all(), 0
        while many < len(waiting) and (
            len(waiting) - many > self.budget.images or self.spool.size(without=many) > self.budget.size_bytes
        ):
            many += 1
        self._let_go_unpushed(waiting[:many], "more wait for their push than this node keeps")

    def make_room(self, why: str) -> int:
        """Let go of the oldest quarter of what waits, at least one; how many that were."""
        waiting = self.spool.all()
        oldest = waiting[: max(1, int(len(waiting) * SHORT_SHARE))]
        self._let_go_unpushed(oldest, why)
        return len(oldest)

    def _let_go_unpushed(self, images: list[Pending], why: str) -> None:
        for pending in images:
            self._let_go(pending, unpin=True)
            say("push-let-go", tag=pending.tag, repository=pending.repository, fault=why)
        if images:
            self.telling.tell("image-let-go", f"{len(images)} built and not pushed: {why}")

    def _measure(self, pending: Pending) -> None:
        try:
            self.spool.measured(pending, self.images.layers(pending.digest))
        except (ContainerdError, ValueError, KeyError, TypeError, AttributeError) as error:
            say("not-measured", tag=pending.tag, fault=str(error))

    def stop(self) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify_all()

    def _take(self) -> Pending | None:
        with self._wake:
            while not self._stopped:
                now, waits = time.monotonic(), [30.0]
                for pending in self.spool.all():
                    tries = self._tries.setdefault(pending.made, _Tries(next_at=self._first_at(pending)))
                    if not tries.busy and tries.next_at <= now:
                        tries.busy = True
                        return pending
                    if not tries.busy:
                        waits.append(tries.next_at - now)
                self._wake.wait(min(waits))
        return None

    def _finished(self, pending: Pending, gone: bool, seconds: float, sent: Sent | None) -> None:
        self._let_go(pending, unpin=not gone)
        what = {"event": "push-dropped", "fault": "the image is gone"} if gone else {"event": "pushed"}
        self.changed()
        bytes_ = asdict(sent) if sent else {}
        say(**what, tag=pending.tag, repository=pending.repository, seconds=round(seconds, 1), **bytes_)

    def _first_at(self, pending: Pending) -> float:
        """When its push may begin, in monotonic seconds: where others build, after its launch, which wants disk and processor
        first; else at once, for whoever comes next.
        """
        age = max(0.0, time.time() - pending.built_at)
        return time.monotonic() + (max(0.0, self.after_s - age) if self.busy() else 0.0)

    def _failed(self, pending: Pending, fault: str) -> None:
        count, wait_s = self._put_off(pending)
        given_up = time.time() - pending.built_at > self.give_up_s
        if given_up or not self.spool.holds(pending):
            self._let_go(pending, unpin=given_up)
        say(
            "push-given-up" if given_up else "push-failed",
            tag=pending.tag,
            repository=pending.repository,
            fault=fault,
            tries=count,
            next_in_s=None if given_up else wait_s,
        )

    def _put_off(self, pending: Pending) -> tuple[int, float]:
        """Come back to it later; how often it was tried, and in how many seconds that is."""
        with self._wake:
            tries = self._tries.setdefault(pending.made, _Tries())  # it may have been let go meanwhile
            tries.busy = False
            tries.count += 1
            wait_s = min(FIRST_WAIT_S * 2 ** min(tries.count - 1, 10), LONGEST_WAIT_S)
            tries.next_at = time.monotonic() + wait_s
            return tries.count, wait_s

    def _pin_held(self, pending: Pending) -> None:
        with self._pins:  # or a pin could come after the push that takes it off
            if not self.spool.holds(pending):
                return
            try:
                self.images.pin(pending.tag, pending.digest)
            except ContainerdError as error:
                say("pin-failed", tag=pending.tag, fault=str(error))

    def _let_go(self, pending: Pending, unpin: bool) -> None:
        """Forget an image; one of the same tag that was built meanwhile stays in, and pins itself again."""
        with self._pins:
            if unpin and self.spool.holds(pending):
                self._unpin(pending.tag)
            with self._wake:
                self._tries.pop(pending.made, None)
                self.spool.remove(pending)

    def _unpin(self, tag: str) -> None:
        try:
            self.images.unpin(tag)
        except ContainerdError as error:
            say("unpin-failed", tag=tag, fault=str(error))
