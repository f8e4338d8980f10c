"""A no-change install's deploys through our connector, against the same deploys through pyinfra's own ssh connector.

Both sides: one connection made, all deploys of INSTALL with the inputs of one and the same plan, nothing changed.
Not counted on either side: importing Python modules, gathering facts for the plan, the checks between phases. The
stock side's connection is counted once, although pyinfra is made to connect for each deploy here.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal

from binderbox.commands import connect as session
from binderbox.commands.phases import INSTALL, Phase
from binderbox.output.requests import Sources
from binderbox.plan import Plan
from binderbox.world.host.hosts import Host, connect
from binderbox.world.pyinfra import deploying
from tests.bench import stock_run
from tests.bench.measure import CouldNotMeasure, Measure, median, median_ratio, take_pairs
from tests.bench.stock import StockFigures, watched
from tests.rig.host import RigHost

GOAL = 0.25
PAIRS = 5


@dataclass
class Side:
    """What one side's runs took; lists have one entry per run."""

    connector: Literal["binderbox", "ssh"]
    connect_s: list[float] = field(default_factory=list)
    phases_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    round_trips: dict[str, int] = field(default_factory=dict)

    def run(self, host: RigHost, plan: Plan) -> float:
        """Connect, run every deploy, and return the seconds of both."""
        started = perf_counter()
        with connect(host.alias, ssh_config=host.ssh_config) as open_host:
            connecting = perf_counter() - started
            phases = [self._deploy(open_host, phase, plan) for phase in INSTALL]
        if self.connector == "ssh":
            connecting = median([one.connect_s for _, one in phases])
        self.connect_s.append(connecting)
        return connecting + sum(seconds for seconds, _ in phases)

    def _deploy(self, host: Host, phase: Phase, plan: Plan) -> tuple[float, StockFigures]:
        with watched() as stock:
            done = deploying.run(
                host, phase.deploy, phase.inputs(plan), by=stock_run.run if self.connector == "ssh" else None
            )
        if done.changed:
            raise CouldNotMeasure(
                f"{phase.title} through {self.connector} changed the host: {', '.join(done.changed)}"
            )
        if stock.connections != (self.connector == "ssh"):
            raise CouldNotMeasure(
                f"{phase.title} through {self.connector}: {stock.connections} stock connections"
            )
        seconds = done.seconds - stock.connect_s
        self.phases_s[phase.title].append(seconds)
        self.round_trips[phase.title] = done.round_trips + stock.round_trips
        return seconds, stock

    def figures(self) -> dict[str, object]:
        """Medians over the runs."""
        return {
            "connect_s": median(self.connect_s),
            "round_trips": sum(self.round_trips.values()),
            "phases_s": {title: median(times) for title, times in self.phases_s.items()},
            "phases_round_trips": self.round_trips,
        }


def measure(host: RigHost) -> Measure:
    """On a host that was just installed."""
    with connect(host.alias, ssh_config=host.ssh_config) as open_host:
        _, plan = session.planned(session.look(open_host, Sources()), Sources())
    ours, stock = Side("binderbox"), Side("ssh")
    pairs = take_pairs(lambda: ours.run(host, plan), lambda: stock.run(host, plan), PAIRS)
    return Measure(
        "connector",
        "no-change deploys, our connector / pyinfra's ssh connector",
        median_ratio(pairs),
        GOAL,
        {
            "ours_s": median([pair.ours_s for pair in pairs]),
            "stock_s": median([pair.other_s for pair in pairs]),
            "ratios": [round(pair.ratio, 3) for pair in pairs],
            "ours": ours.figures(),
            "stock": stock.figures(),
        },
    )
