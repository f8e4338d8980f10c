"""From a bare host to the first launch, from the rig's Internet, against the same from the rig's bundle."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from tests.bench.measure import CouldNotMeasure, Measure, Pair, median_ratio
from tests.e2e.test_follow import gateway
from tests.e2e.test_from_the_internet import Scene, use_resolver
from tests.rig.client import Client
from tests.rig.host import RigHost
from tests.rig.internet.world import World

PAIRS = 3
MBIT_S = 100
BYTES_S = MBIT_S * 1_000_000 / 8
PROOF = "Prove it"


def on_loopback() -> Measure:
    """As fast as this machine's own network is, by turns."""
    pairs, by_host = [], {}
    for _ in range(PAIRS):
        bundle_s, _ = until_launch(internet=False)
        internet_s, by_host = until_launch(internet=True)
        pairs.append(Pair(internet_s, bundle_s))
    return Measure(
        "internet",
        "bare host to first launch from the Internet / from the bundle",
        median_ratio(pairs),
        1.3,
        {"pairs_s": [(one.ours_s, one.other_s) for one in pairs], "bytes": by_host},
    )


def held_to_a_rate() -> Measure:
    """All servers together send 100 Mbit/s; fetching overlaps with the rest, so the larger of both is what it takes."""
    pairs, wire_s, by_host = [], 0.0, {}
    for _ in range(PAIRS):
        bundle_s, _ = until_launch(internet=False)
        internet_s, by_host = until_launch(internet=True, rate_bytes_s=BYTES_S)
        wire_s = sum(by_host.values()) / BYTES_S
        pairs.append(Pair(internet_s, max(bundle_s, wire_s)))
    return Measure(
        "rate",
        f"the same at {MBIT_S} Mbit/s / the larger of (from the bundle, bytes / rate)",
        median_ratio(pairs),
        1.2,
        {
            "pairs_s": [(one.ours_s, one.other_s) for one in pairs],
            "wire_s": round(wire_s, 1),
            "bytes": by_host,
        },
    )


def until_launch(*, internet: bool, rate_bytes_s: float | None = None) -> tuple[float, dict[str, int]]:
    """(seconds until the first launch, bytes that each server sent) of an install on a new host."""
    host, home = RigHost.start("internet" if internet else "bundle"), Path(tempfile.mkdtemp())
    try:
        with World(gateway(host), Path(tempfile.mkdtemp())) as world:
            use_resolver(host, gateway(host))
            scene = Scene(host, Client(home, gateway(host)), world, home / "versions.toml")
            scene.configure()
            scene.pin(pinned=False)
            world.rate_bytes_s = rate_bytes_s
            done = (
                scene.binderbox("install", "--yes")
                if internet
                else scene.client.install(host, "--json", extra_ca=[world.ca_pem])
            )
            if done.code != 0:
                raise CouldNotMeasure(f"the install ended with exit code {done.code}\n{done.stdout[-2000:]}")
            sent: Counter[str] = Counter()
            for one in world.requests:
                sent[one.host] += one.sent
            return _first_launch_s(done.result), {name: size for name, size in sent.items() if size}
    finally:
        host.stop()


def _first_launch_s(result: dict[str, Any]) -> float:
    before = sum(one["seconds"] for one in result["phases"] if one["title"] != PROOF)
    return round(float(before + max(result["launches"][0]["seconds"].values())), 1)
