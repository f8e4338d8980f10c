"""A simulated year of a member's registry: launches by a Zipf law, each ten minutes through the very functions that a node's retention calls.

`python -m tests.bench.year [PLOT.svg]`. Scaled down in nothing: a launch is one draw, and each ten minutes are one run of the job.

What is assumed: 20,000 launches a day of the federation, 5 % of them here; 200,000 repositories, of which the k-th is launched
in proportion to 1 / k; a new commit of one in 40 launches; images of 0.5 to 6 GB on the node, the middle at 1.5, which a
registry holds at 0.4 of that; of each, 0.9 GB unpacked is one base that all share, which changes every 60 days.
"""

from __future__ import annotations

import random
import sys
from bisect import bisect
from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from binderbox.decide.disk import DiskPlan, make_disk_plan
from binderbox.member.model import Member
from binderbox.parts.registry.retention import DAY_S, YOUNG_S, Clock, Image, Rules, forgotten

DAYS, RUNS, LAUNCHES, REPOSITORIES, COMMIT_EVERY = 365, 144, 1008, 200_000, 40
SMALLEST_GB, MIDDLE_GB, LARGEST_GB, SPREAD = 0.5, 1.5, 6.0, 0.6
PACKED, BASE_GB, BASE_DAYS = 0.4, 0.9, 60
SESSION_H = 1.0
GB = 1_000_000_000
WEIGHTS = list(accumulate(1 / rank for rank in range(1, REPOSITORIES + 1)))


@dataclass
class Year:
    """What became of one; bytes at each day's end, and what launches met."""

    ceiling_gb: float
    bytes_gb: list[float] = field(default_factory=list)
    launches: int = 0
    first: int = 0  # nobody had built it before: no registry could have had it
    hits: int = 0
    rebuilt: int = 0  # it had been here, and was forgotten
    lost: int = 0  # its push met a full bucket
    names: set[str] = field(default_factory=set)  # what is there at the end

    @property
    def hit_rate(self) -> float:
        """Of launches of what had been built before."""
        return self.hits / max(1, self.launches - self.first)


def blobs_of(name: str, repository: int, day: int) -> dict[str, int]:
    """What an image of that day consists of in the registry, in bytes: its base and its own."""
    own = max(unpacked_gb(repository) - BASE_GB, 0.05)
    return {f"base-{day // BASE_DAYS}": round(BASE_GB * PACKED * GB), f"own-{name}": round(own * PACKED * GB)}


def draw(dice: random.Random) -> int:
    return bisect(WEIGHTS, dice.random() * WEIGHTS[-1])


def unpacked_gb(repository: int) -> float:
    size = MIDDLE_GB * random.Random(repository).lognormvariate(0, SPREAD)
    return min(max(size, SMALLEST_GB), LARGEST_GB)


def simulate(ceiling_gb: float, keep_days: float, seed: int = 1) -> Year:
    dice, clock, year = random.Random(seed), Clock(), Year(ceiling_gb)
    rules = Rules(keep_days, round(ceiling_gb * GB))
    commits, built, used = Counter[int](), set[str](), dict[str, float]()
    images, pushed = dict[str, frozenset[str]](), dict[str, float]()
    needed, sizes, held = Counter[str](), dict[str, int](), 0
    for run in range(DAYS * RUNS):
        day, last_of_day = run // RUNS, run % RUNS == RUNS - 1
        clock = clock.looked(1e9 + run * DAY_S / RUNS)
        for _ in range(LAUNCHES // RUNS):
            repository = draw(dice)
            if dice.random() < 1 / COMMIT_EVERY:
                commits[repository] += 1
            name = f"i-{repository}:{commits[repository]}"
            year.launches += 1
            used[name] = clock.seen_s
            if name in images:
                year.hits += 1
                continue
            year.first += name not in built
            year.rebuilt += name in built
            built.add(name)
            blobs = blobs_of(name, repository, day)
            sizes |= blobs
            more = sum(size for one, size in blobs.items() if not needed[one])
            if held + more > rules.max_bytes:
                year.lost += 1
                continue
            held += more
            images[name], pushed[name] = frozenset(blobs), clock.seen_s
            needed.update(images[name])
        if last_of_day:
            year.bytes_gb.append(held / GB)
        elif not rules.full(held):
            continue
        found = [
            Image(
                *name.split(":"),
                blobs,
                clock.seen_s - used[name],
                young=clock.seen_s - pushed[name] < YOUNG_S,
            )
            for name, blobs in images.items()
        ]
        for one in forgotten(found, sizes, rules):
            for blob in images.pop(one.image.name):
                needed[blob] -= 1
                held -= 0 if needed[blob] else sizes[blob]
    year.names = set(images)
    return year


def images_of_sessions_gb(sessions: int, seed: int = 1) -> float:
    """What the images of so many sessions at a time take on the node, as 95 of 100 looks find it, their bases once."""
    dice = random.Random(seed)
    looks = sorted(
        BASE_GB * 2
        + sum(max(unpacked_gb(one) - BASE_GB, 0.05) for one in {draw(dice) for _ in range(sessions)})
        for _ in range(200)
    )
    return looks[189]


def smallest_disk_gb(sessions: int) -> int:
    """The smallest whose plan has room for the images of so many sessions twice: those that run, and those that come."""
    wanted = 2 * images_of_sessions_gb(sessions)
    disk = 30
    while (plan := plan_of(disk)) is None or plan.images_gb.value < wanted:
        disk += 10
    return disk


def plan_of(disk_gb: float) -> DiskPlan | None:
    found = make_disk_plan(Member(domain="b.example.org"), disk_gb, disk_gb - 4)
    return found if isinstance(found, DiskPlan) else None


def main(plot: str = "") -> int:
    years = {}
    for disk in (50, 100, 250, 500):
        plan = plan_of(disk)
        assert plan is not None
        year = years[disk] = simulate(plan.objectstore_max_gb.value, 30)
        print(
            f"disk {disk} GB, bucket {year.ceiling_gb} GB: at most {max(year.bytes_gb):.1f} GB, at the end {year.bytes_gb[-1]:.1f}; "
            f"{year.launches} launches, {year.first} of what nobody had built, hit rate of the others {year.hit_rate:.1%}; "
            f"{year.rebuilt} rebuilt that had been forgotten or lost, {year.lost} pushes refused"
        )
    for sessions in (100, 200, 400):
        print(
            f"{sessions} sessions: images of {images_of_sessions_gb(sessions):.0f} GB, disk of {smallest_disk_gb(sessions)} GB"
        )
    if plot:
        draw_years(years, Path(plot))
    return 0


def draw_years(years: dict[int, Year], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4))
    axes = figure.add_subplot(xlabel="day", ylabel="GB in the bucket")
    for disk, year in years.items():
        axes.plot(year.bytes_gb, label=f"disk {disk} GB, bucket {year.ceiling_gb:g} GB")
    axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
