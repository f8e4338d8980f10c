"""Three days of the simulated year through the job itself, on a real registry and object store: the same images are left.

A quarter of the launches, and a thousandth of the bytes.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter

import pytest

from binderbox.parts.agent.jobs import retention
from binderbox.parts.registry.retention import DAY_S
from tests.bench import year
from tests.bench.year import COMMIT_EVERY, GB, RUNS, blobs_of, draw, simulate
from tests.parts.agent.test_retention import bucket, config, node, server, state
from tests.parts.registry.server import Registry, manifest_of

__all__ = ["node", "server"]  # fixtures
pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
DAYS, SHARE, SCALE, CEILING_GB = 3, 4, 1000, 40.0


def test_the_job_leaves_what_the_simulation_says(node: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(year, "DAYS", DAYS)
    monkeypatch.setattr(year, "LAUNCHES", year.LAUNCHES // SHARE)
    monkeypatch.setattr(year, "YOUNG_S", -5.0)  # as the fixture has it: all is pushed within minutes here
    foretold = simulate(CEILING_GB, 30)
    assert foretold.rebuilt, "something was forgotten"
    assert not foretold.lost
    replay(node)
    left = {
        f"{one.key.split('/')[4]}:{one.key.split('/')[7]}"
        for one in bucket(node).all()
        if one.key.endswith("/current/link")
    }
    assert left == foretold.names
    held = sum(one.size_bytes for one in bucket(node).all() if "/blobs/" in one.key)
    print(f"{len(left)} images, {held / 1e6:.1f} MB here, {foretold.bytes_gb[-1]:.1f} GB foretold")
    assert held * SCALE == pytest.approx(foretold.bytes_gb[-1] * GB, rel=0.05)
    assert state()["why"] == ""


def replay(node: Registry) -> None:
    """The launches of the simulation, in its order, and the job after those of each ten minutes."""
    dice, commits, data = random.Random(1), Counter[int](), dict[str, bytes]()
    of_disk = config(max_gb=CEILING_GB / SCALE)
    for run in range(DAYS * RUNS):
        for _ in range(year.LAUNCHES // RUNS):
            repository = draw(dice)
            if dice.random() < 1 / COMMIT_EVERY:
                commits[repository] += 1
            name, tag = f"i-{repository}", str(commits[repository])
            if _there(node, name, tag):
                continue
            layers = blobs_of(f"{name}:{tag}", repository, run // RUNS)
            sizes = [size // SCALE for size in layers.values()]
            # its manifest is one of its blobs, and at a thousandth of the others' size it counts
            sizes[-1] -= len(
                json.dumps(manifest_of(b'{"made": "%s"}' % tag.encode(), [bytes(size) for size in sizes]))
            )
            for blob, size in zip(layers, sizes, strict=True):
                data.setdefault(blob, os.urandom(size))
            node.push(name, tag, *(data[blob] for blob in layers))
        assert retention.run(of_disk, None, now=1e9 + run * DAY_S / RUNS)


def _there(node: Registry, name: str, tag: str) -> bool:
    answer = node.ask("HEAD", f"/v2/{name}/manifests/{tag}")
    answer.read()
    return answer.status == 200
