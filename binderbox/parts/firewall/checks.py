"""That the firewall is there, and was before any pod."""

from __future__ import annotations

from binderbox import layout
from binderbox.checks.core import Check, Verdict, failed, passed
from binderbox.checks.probe import Probe
from binderbox.checks.workloads import AGAIN, judge_unit, look_unit
from binderbox.parts.firewall import rules
from binderbox.parts.firewall.backstop_rules import BACKSTOP

TABLE = f"inet {rules.TABLE}"
FIXES = {
    TABLE: f"nft -f {layout.FIREWALL_FILE} on the host; or {AGAIN}",
    f"inet {BACKSTOP}": f"systemctl restart {layout.BACKSTOP_UNIT} on the host",
}


def look_tables(probe: Probe) -> tuple[str, ...]:
    return probe.nft_tables()


def judge_tables(tables: tuple[str, ...]) -> Verdict:
    missing = [table for table in FIXES if table not in tables]
    if not missing:
        return passed(", ".join(FIXES))
    told = ", ".join(tables) or "no table at all"
    needed = " and ".join(f"table {table}" for table in missing)
    return failed(told, needed, "; ".join(FIXES[table] for table in missing))


CHECKS = (
    Check("BBX-P01", "prepared", "the firewall's unit is active", look_unit(layout.FIREWALL_UNIT), judge_unit,
          "It is loaded before k3s, so that no pod ever runs without it."),
    Check("BBX-P02", "prepared", "the firewall's table and its backstop are loaded", look_tables, judge_tables,
          "A `flush ruleset` by another tool takes the table away; the backstop then lets nothing new pass."),
)  # fmt: skip
