"""Who was refused by the firewall, and where to: a line in the journal for each at most once a minute, and each scan told.

nftables could hand refused packets to a program (NFLOG), one by one and as many as a scanner sends. A set with a bound
says the same once a second, whatever is sent. Standard library only: it travels with the keeper.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from binderbox.parts.events import say
from binderbox.parts.firewall.keeper.kernel import Refused
from binderbox.parts.firewall.keeper.known import Named

EVERY_S = 60.0  # a line about one group
SCAN = 24  # different targets in that time: where mybinder.org's tcpflowkiller kills
TOLD_EVERY_S = 3600.0
MOST_GROUPS = 500


@dataclass
class Group:
    """What one group was refused since `since`, in seconds of the monotonic clock; `said` how much of it is in the journal,
    `told` when a scan was told last."""

    since: float
    targets: set[tuple[str, str, int]] = field(default_factory=set)
    pods: set[str] = field(default_factory=set)
    said: int = 0
    told: float | None = None


class Refusals:
    """`tell(what, why)` is for what a person must know: nothing of repositories like `own`, which the node serves to try itself."""

    def __init__(
        self,
        tell: Callable[[str, str], None],
        own: re.Pattern[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own = own
        self._tell = tell
        self._clock = clock
        self._groups: dict[str, Group] = {}

    def hear(self, refused: Iterable[Refused], named: Mapping[str, Named]) -> None:
        """Take in what was refused since the last time; `named` are the pods by address."""
        now = self._clock()
        for source, to, protocol, port in refused:
            pod = named.get(source)
            who = (pod.repository or pod.pod) if pod else f"{source}, which is nobody's"
            if who not in self._groups and len(self._groups) >= MOST_GROUPS:
                continue
            group = self._groups.setdefault(who, Group(now))
            group.targets.add((to, protocol, port))
            group.pods.add(pod.pod if pod else source)
        for who, group in list(self._groups.items()):
            self._look(who, group, now)

    def _look(self, who: str, group: Group, now: float) -> None:
        lately = group.told is not None and now - group.told < TOLD_EVERY_S
        if len(group.targets) >= SCAN and not lately and not self._own.fullmatch(who):
            group.told, lately = now, True
            self._tell("scan-refused", f"{who}: {_sentence(group)} within a minute")
        over = now - group.since >= EVERY_S
        if len(group.targets) > group.said and (over or not group.said):
            group.said = len(group.targets)
            say("refused", who=who, what=_sentence(group))
        if over and not group.targets and not lately:
            del self._groups[who]
        elif over:
            self._groups[who] = Group(now, told=group.told)


def _sentence(group: Group) -> str:
    to, protocol, port = min(group.targets)
    others = f" and {len(group.targets) - 1} more addresses and ports" if len(group.targets) > 1 else ""
    return f"{', '.join(sorted(group.pods)[:5])} was refused {to} port {port}/{protocol}{others}"
