"""From a bare host to the first launch, in multiples of the time that Kubernetes alone needs on such a host."""

from __future__ import annotations

from typing import Any

from tests.bench.kubernetes import seconds_alone
from tests.bench.measure import CouldNotMeasure, Measure
from tests.rig.client import Client
from tests.rig.host import RigHost

PROOF = "Prove it"
GOAL = 6.0


def measure(host: RigHost, client: Client) -> Measure:
    """Install on a bare host, which is a finished member afterwards; Kubernetes alone is timed before and after."""
    before = seconds_alone("alone-before")
    finished = client.install(host, "--json")
    if finished.code != 0:
        raise CouldNotMeasure(f"the install ended with exit code {finished.code}\n{finished.stdout[-2000:]}")
    after = seconds_alone("alone-after")
    return judge(finished.result, finished.seconds, before, after)


def judge(result: dict[str, Any], whole_s: float, before_s: float, after_s: float) -> Measure:
    """The install's own seconds by phase; the first launch is the proof's first, the rest of the proof comes after.

    `whole_s` is the program's time by the clock, start-up and gathering facts included.
    """
    alone = (before_s + after_s) / 2
    phases = {one["title"]: one["seconds"] for one in result["phases"]}
    first_launch = max(result["launches"][0]["seconds"].values())
    until = sum(seconds for title, seconds in phases.items() if title != PROOF) + first_launch
    return Measure(
        "install",
        "bare host to first launch / Kubernetes alone to Ready",
        until / alone,
        GOAL,
        {
            "to_first_launch_s": round(until, 2),
            "kubernetes_alone_s": [round(before_s, 2), round(after_s, 2)],
            "multiples": {title: round(seconds / alone, 2) for title, seconds in phases.items()}
            | {"first launch": round(first_launch / alone, 2)},
            "phases_s": phases,
            "first_launch_s": result["launches"][0]["seconds"],
            "whole_command_s": round(whole_s, 2),
        },
    )
