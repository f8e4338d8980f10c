"""What builds leave behind: steps without a build, and what BuildKit has of builds that have ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from ...events import say
from .building import Builds, Left
from .config import DoorConfig
from .containerd import ContainerdError
from .steps import Steps, restarted

YOUNG_S = 10.0  # a step that has just begun is of a build that this door knows in a moment
IDLE_S = 30.0  # since the last of them ended
LET_GO_S = 5.0  # until BuildKit has let go of what a client that left had asked for
# Layers whose making was broken off, by BuildKit's end or a download's: to it they are a cache like any other, up to its
# ceiling (cache/manager.go, which looks at whether a record is `mutable`, and not at a value). So is what COPY and ADD have
# made since its start, which is made again.
HALF_MADE = "mutable,type==regular"


class Sweep:
    """`run` runs a program of the node to its end, and says whether that was well.

    + containers: containerd's records of steps, and when each was made
    """

    def __init__(
        self,
        config: DoorConfig,
        builds: Builds,
        steps: Steps,
        run: Callable[[Sequence[str]], bool],
        containers: Callable[[], Mapping[str, float]],
    ) -> None:
        self._config = config
        self._builds = builds
        self._steps = steps
        self._run = run
        self._pruned: object = None  # after what it was done last
        self._containers = containers
        self._forgot = 0.0  # after which start

    def once(self) -> None:
        """End the steps that a restart of BuildKit, containerd or this door left without a build; have BuildKit let go of what
        it was making when it ended; and when nobody builds, of what it keeps of builds that have ended.

        BuildKit never hears of the end of a task that containerd forgot in a restart, and waits for it until its build's time
        is over: so a containerd that is younger starts it anew."""
        if 0 < restarted((self._socket,)) < restarted((self._config.containerd_socket,)):
            self.restart("containerd was started anew below it")
        for step in self._steps.unowned(set(self._builds.running), self._began(), YOUNG_S):
            say("step-ended", step=step.id, gone=self._steps.end(step))
        self._forget()
        self._prune()
        left = self.left()
        if (
            left
            and not self._builds.running
            and all(time.time() - one.ended > IDLE_S for one in left.values())
        ):
            self.restart("nobody builds, and it may keep what builds that have ended had written")

    def _forget(self) -> None:
        """Take away containerd's records of steps from before the last start, whose tasks have ended: one that was killed
        together with BuildKit has nobody else who would, and the record keeps its layer for ever."""
        began = self._began()
        if self._forgot == began:
            return
        try:
            known = self._containers()
        except ContainerdError:
            return  # it is being started
        dead = [one for one, made in known.items() if made < began and not (self._steps.tasks / one).exists()]
        gone = [self._run([*self._steps.ctr, "containers", "delete", one]) for one in dead]
        if all(gone):
            self._forgot = began

    def _prune(self) -> None:
        began = restarted((self._socket,))
        ended = frozenset(key for key, one in self._builds.left.items() if time.time() - one.ended > LET_GO_S)
        words = [
            self._config.buildctl,
            "--addr",
            self._config.buildkit_address,
            "prune",
            "--all",
            f"--filter={HALF_MADE}",
        ]
        if began and self._pruned != (began, ended) and self._run(words):
            self._pruned = (began, ended)

    def left(self) -> dict[str, Left]:
        """Builds that ended while BuildKit was not done, of those that it may still know."""
        began = self._began()
        return {key: one for key, one in self._builds.left.items() if one.ended > began}

    def restart(self, why: str) -> None:
        """Start BuildKit anew, at once: asked to stop, it waits for what it does. What is being built is built once more."""
        say("builder-restarted", why=why)
        self._run(["systemctl", "kill", "--signal=KILL", "--kill-whom=main", self._config.buildkit_unit])

    @property
    def _socket(self) -> str:
        return self._config.buildkit_address.removeprefix("unix://")

    def _began(self) -> float:
        """When BuildKit, or the containerd below it, was started last."""
        return restarted((self._socket, self._config.containerd_socket))
