"""Whether the disk has room, as the node's own job sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from binderbox.checks.core import Check, Verdict, failed, passed, warned
from binderbox.checks.probe import Probe, Skip
from binderbox.checks.workloads import AGAIN, hours_since
from binderbox.parts.disk.watermarks import GB

LATE_H = 0.5  # an hourly sum of all files takes a quarter of one at most
WHAT = "binderbox disk HOST says who uses what"


def look_disk(probe: Probe) -> Mapping[str, Any]:
    found = probe.disk()
    if found is None:
        raise Skip("the disk's job has not looked yet")
    return {**found, "hours": hours_since(probe, found["at"])}


def judge_room(found: Mapping[str, Any]) -> Verdict:
    """Launches that are refused are a failure; others who fill the disk, or a step that failed, are worth a look."""
    if found["hours"] > LATE_H:
        fix = f"journalctl -u binderbox-disk on the host; {AGAIN}"
        return failed(f"the disk's job looked {found['hours']:.1f} hours ago", "a look each minute", fix)
    free = ", ".join(
        f"{one['free_bytes'] / GB:.1f} GB free at {one['path']}" for one in found["file_systems"]
    )
    if found["refused"]:
        remove = (
            "remove what is not the member's, or give it a larger disk"
            if found["others"]
            else "give it a larger disk"
        )
        return failed(found["why"], "room for launches", f"{remove}; {WHAT}")
    if found["others"]:
        return warned(found["why"], "no more of others than at the install", f"remove it; {WHAT}")
    if failing := [one for one in found["did"] if one.startswith("could not")]:
        return warned(
            "; ".join(failing),
            "room is made where it is short",
            f"{AGAIN}; journalctl -u binderbox-disk on the host",
        )
    return passed("; ".join([free, *found["did"]]))


CHECKS = (
    Check("BBX-S02", "retention", "the disk has room", look_disk, judge_room,
          "Looked at each minute: BuildKit's cache goes first, then unused images, the registry's by age; launches are refused last."),
)  # fmt: skip
