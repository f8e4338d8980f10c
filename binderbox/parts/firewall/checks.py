"""That the firewall is there, and was before any pod."""

from __future__ import annotations

from binderbox import layout
from binderbox.checks.core import Check, Verdict, failed, passed
from binderbox.checks.probe import Probe
from binderbox.checks.workloads import AGAIN, judge_unit, look_unit
from binderbox.parts.firewall import rules

TABLE = f"inet {rules.TABLE}"


def look_tables(probe: Probe) -> tuple[str, ...]:
    return probe.nft_tables()


def judge_tables(tables: tuple[str, ...]) -> Verdict:
    if TABLE in tables:
        return passed(TABLE)
    told = ", ".join(tables) or "no table at all"
    return failed(told, f"table {TABLE}", f"nft -f {layout.FIREWALL_FILE} on the host; or {AGAIN}")


CHECKS = (
    Check("BBX-P01", "prepared", "the firewall's unit is active", look_unit(layout.FIREWALL_UNIT), judge_unit,
          "It is loaded before k3s, so that no pod ever runs without it."),
    Check("BBX-P02", "prepared", "the firewall's table is loaded", look_tables, judge_tables,
          "A `flush ruleset` by another tool takes it away."),
)  # fmt: skip
