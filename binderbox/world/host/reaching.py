"""Places asked from a host, all at once, by its own curl."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from importlib.resources import files

from binderbox.checks.probe import Reached
from binderbox.world.host.hosts import Host

LIMIT_S = 30.0


def reach(
    host: Host, urls: Sequence[str], authorities: Iterable[str], before: str = ""
) -> tuple[Reached, ...]:
    """What came of each; `authorities` count beside the host's own, and `before` is sh text that is run first."""
    script = before + (files("binderbox.world.host") / "reach.sh").read_text()
    words = shlex.join(["sh", "-c", script, "reach", *urls])
    output = host.sh(words, stdin="\n".join(authorities).encode(), timeout_s=LIMIT_S)
    rows = [line.split("|") for line in output.text.splitlines()]
    return tuple(
        Reached(row[0], int(row[1]), "|".join(row[2:-4]), row[-4], row[-3], int(row[-2]), row[-1])
        for row in sorted(rows)
        if len(row) >= 7
    )
