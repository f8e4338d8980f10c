"""Launches one by one through the redirector's rules: what the model's formulas are held to.

Two replicas check each member as the real ones do (`next_check_s`, `judge_health`, `judge_round`) and send launches
by `choose`. A member counts its pods for /health at most once a minute, and refuses a launch at its quota. Between
events nothing is approximated but this: answers take no time, so the looks of one check are the same look.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from binderbox.federation.redirector.config import Balancer, CheckTiming, HostEntry, RedirectorConfig
from binderbox.federation.redirector.erlang import PODS_CACHED_S
from binderbox.federation.redirector.model import Capacity, Demand
from binderbox.federation.redirector.rules import (
    Answer,
    Standing,
    choose,
    judge_health,
    judge_round,
    next_check_s,
)
from tests.federation.prime import make_health

REPLICAS = 2


@dataclass
class Outcome:
    """Counts of launches after the warm-up; `pods` is the time average, `in_rotation` of both replicas."""

    launches: int = 0
    went: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    pods: dict[str, float] = field(default_factory=dict)
    in_rotation: dict[str, float] = field(default_factory=dict)

    @property
    def errors_per_launch(self) -> float:
        return sum(self.errors.values()) / self.launches


def simulate(
    members: Sequence[Capacity],
    demand: Demand,
    launches: int,
    *,
    headroom: int = 10,
    load_balancer: Balancer = "random",
    repositories: int = 100_000,
    warm_up_sessions: float = 8,
    seed: int = 1,
) -> Outcome:
    """So many launches after the warm-up, which lasts some mean session lengths; the first member is the prime."""
    return _Run(members, demand, headroom, load_balancer, repositories, seed).play(launches, warm_up_sessions)


class _Run:
    def __init__(
        self,
        members: Sequence[Capacity],
        demand: Demand,
        headroom: int,
        load_balancer: Balancer,
        repositories: int,
        seed: int,
    ) -> None:
        hosts = tuple(
            HostEntry(one.name, f"https://{one.name}.example", one.weight, "", "", one is members[0])
            for one in members
        )
        self.config = RedirectorConfig(hosts, CheckTiming(), load_balancer, headroom)
        self.demand = demand
        self.random = Random(seed)
        self.repositories = repositories
        self.quota = {one.name: one.quota for one in members}
        self.ends: dict[str, list[float]] = {one.name: [] for one in members}
        self.counted: dict[str, tuple[float, Standing]] = {}
        self.active: list[tuple[str, ...]] = [tuple(one.name for one in members)] * REPLICAS
        self.checks: list[tuple[float, int, str]] = [
            (self.random.uniform(0, self.config.check.period_s), replica, one.name)
            for replica in range(REPLICAS)
            for one in members
        ]
        heapq.heapify(self.checks)
        self.sums: Counter[str] = Counter()
        self.sums_in: Counter[str] = Counter()

    def play(self, launches: int, warm_up_sessions: float) -> Outcome:
        rate_per_s, hold_s = self.demand.launches_per_hour / 3600, self.demand.session_h * 3600
        warm_up_s, now = warm_up_sessions * hold_s, 0.0
        outcome = Outcome()
        while outcome.launches < launches:
            now += self.random.expovariate(rate_per_s)
            while self.checks[0][0] <= now:
                self._check(*heapq.heappop(self.checks))
            counts = now > warm_up_s
            if counts:
                outcome.launches += 1
                for name in self.ends:
                    self.sums[name] += self._pods(name, now)
            replica = self.random.randrange(REPLICAS)
            path = f"/build/gh/org/repo{self.random.randrange(self.repositories)}/HEAD"
            name = choose(self.config, self.active[replica], path, cookie="", random=self.random).name
            pods, quota = self._pods(name, now), self.quota[name]
            if quota is not None and pods >= quota:
                outcome.errors[name] += counts
            else:
                heapq.heappush(self.ends[name], now + self.random.expovariate(1 / hold_s))
                outcome.went[name] += counts
            if counts:
                for one in self.active[replica]:
                    self.sums_in[one] += 1
        outcome.pods = {name: self.sums[name] / launches for name in self.ends}  # arrivals see time averages
        outcome.in_rotation = {name: self.sums_in[name] / launches for name in self.ends}
        return outcome

    def _pods(self, name: str, now: float) -> int:
        ends = self.ends[name]
        while ends and ends[0] <= now:
            heapq.heappop(ends)
        return len(ends)

    def _check(self, at: float, replica: int, name: str) -> None:
        standing = judge_round([self._standing(name, at)])
        others = tuple(one for one in self.active[replica] if one != name)
        self.active[replica] = (*others, name) if standing.active else others
        earliest, latest = next_check_s(self.config, standing.active)
        heapq.heappush(self.checks, (at + self.random.uniform(earliest, latest), replica, name))

    def _standing(self, name: str, at: float) -> Standing:
        """Judged on the pods as last counted: a member counts at most once a minute, when it is asked."""
        counted_at, standing = self.counted.get(name, (float("-inf"), Standing(name, True)))
        if at - counted_at < PODS_CACHED_S:
            return standing
        health: dict[str, Any] = make_health(self._pods(name, at), self.quota[name])
        reason, detail = judge_health(Answer(200, health), self.config.pod_headroom)
        self.counted[name] = (at, Standing(name, not reason, reason, detail))
        return self.counted[name][1]
