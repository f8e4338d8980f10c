"""How builds went in the last day, and what waits for its push, from what the door says of itself."""

from __future__ import annotations

import json
import statistics
from contextlib import suppress
from typing import Any

from binderbox import layout
from binderbox.parts.agent.jobs import files
from binderbox.parts.agent.jobs.running import CommandFailed, run


def builds(since: str = "-24h") -> dict[str, Any]:
    """`good`, `failed`, and seconds of the good ones: `median_s`, `slowest_tenth_s` (None where there is none)."""
    said = ""
    with suppress(CommandFailed):
        said = run(["journalctl", "-u", layout.DOOR_UNIT, "-o", "cat", "--no-pager", "--since", since])
    took: list[float] = []
    failed = 0
    for line in said.splitlines():
        if '"build-ended"' not in line:
            continue
        with suppress(ValueError, KeyError, TypeError):
            one = json.loads(line)
            if one["ok"]:
                took.append(float(one["seconds"]))
            else:
                failed += 1
    return {
        "good": len(took),
        "failed": failed,
        "median_s": round(statistics.median(took), 1) if took else None,
        "slowest_tenth_s": round(sorted(took)[-(-9 * len(took) // 10) - 1], 1) if took else None,
    }


def spool() -> dict[str, Any]:
    """How many images are `waiting`."""
    return {"waiting": len(files.kept(layout.DOOR_STATUS).get("pushes", []))}
