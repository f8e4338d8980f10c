"""How long `status` takes, against what it cannot do without: one ssh round trip, and one look at the host."""

from __future__ import annotations

import subprocess
import time

from binderbox import layout
from binderbox.world.host.gather import render_script
from tests.bench.measure import CouldNotMeasure, Measure, median, median_ratio, take_pairs
from tests.rig.client import Client
from tests.rig.host import RigHost

GOAL = 2.0
PAIRS = 9
LOOK_S = 60


def measure(host: RigHost, client: Client) -> Measure:
    """On a member. Both sides are whole programs with a connection of their own; ours judges some 30 checks, too."""
    trips: list[float] = []
    pairs = take_pairs(lambda: _status(host, client), lambda: _trip_and_look(host, trips), PAIRS)
    return Measure(
        "status",
        "`status` / one ssh round trip plus one gather, each with its own connection",
        median_ratio(pairs),
        GOAL,
        {
            "status_s": median([pair.ours_s for pair in pairs]),
            "trip_and_gather_s": median([pair.other_s for pair in pairs]),
            "trip_s": median(trips),
            "ratios": [round(pair.ratio, 2) for pair in pairs],
        },
    )


def _status(host: RigHost, client: Client) -> float:
    done = client.binderbox(host, "status", "--json")
    if done.code:
        raise CouldNotMeasure(f"status ended with exit code {done.code}: {done.stdout[-400:]}")
    return done.seconds


def _trip_and_look(host: RigHost, trips: list[float]) -> float:
    started = time.perf_counter()
    _ssh(host, "true", "")
    trips.append(time.perf_counter() - started)
    _ssh(host, "sh -s", render_script((), layout.DATA, brief=True))
    return time.perf_counter() - started


def _ssh(host: RigHost, command: str, script: str) -> None:
    words = ["ssh", "-F", str(host.ssh_config), host.alias, command]
    subprocess.run(words, input=script, text=True, capture_output=True, check=True, timeout=LOOK_S)
