"""Days of the simulated year as pushes and questions to a real registry: a quarter of the launches, a thousandth of the bytes."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

from binderbox.parts.registry.retention import DAY_S
from tests.bench import year
from tests.bench.year import COMMIT_EVERY, RUNS, Year, blobs_of, draw, simulate
from tests.parts.registry.server import Registry, manifest_of

DAYS, SHARE, SCALE, CEILING_GB = 3, 4, 1000, 40.0
YOUNG_S = -5.0  # all is pushed within minutes here, and was "pushed just now"


def foretell(monkeypatch: pytest.MonkeyPatch) -> Year:
    """What the simulation says of these days; for the test's time it has these launches."""
    monkeypatch.setattr(year, "DAYS", DAYS)
    monkeypatch.setattr(year, "LAUNCHES", year.LAUNCHES // SHARE)
    monkeypatch.setattr(year, "YOUNG_S", YOUNG_S)
    foretold = simulate(CEILING_GB, 30)
    assert foretold.rebuilt, "something was forgotten"
    assert not foretold.lost
    return foretold


def replay(registry: Registry) -> Iterator[float]:
    """The launches of the simulation, in its order; after those of each ten minutes the time at which the job is to run."""
    dice, commits, data = random.Random(1), Counter[int](), dict[str, bytes]()
    for run in range(DAYS * RUNS):
        for _ in range(year.LAUNCHES // RUNS):
            repository = draw(dice)
            if dice.random() < 1 / COMMIT_EVERY:
                commits[repository] += 1
            name, tag = f"i-{repository}", str(commits[repository])
            if _there(registry, name, tag):
                continue
            layers = blobs_of(f"{name}:{tag}", repository, run // RUNS)
            sizes = [size // SCALE for size in layers.values()]
            # its manifest is one of its blobs, and at a thousandth of the others' size it counts
            sizes[-1] -= len(
                json.dumps(manifest_of(b'{"made": "%s"}' % tag.encode(), [bytes(size) for size in sizes]))
            )
            for blob, size in zip(layers, sizes, strict=True):
                data.setdefault(blob, os.urandom(size))
            registry.push(name, tag, *(data[blob] for blob in layers))
        yield 1e9 + run * DAY_S / RUNS


def images_in(keys: Iterable[str]) -> set[str]:
    """name:tag of each tag that a bucket of these keys holds."""
    found = (key.split("/") for key in keys if key.endswith("/current/link"))
    return {f"{parts[4]}:{parts[7]}" for parts in found}


def _there(registry: Registry, name: str, tag: str) -> bool:
    answer = registry.ask("HEAD", f"/v2/{name}/manifests/{tag}")
    answer.read()
    return answer.status == 200
