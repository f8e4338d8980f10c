"""That the firewall is there, and was before any pod."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from binderbox import layout
from binderbox.checks.core import Check, Verdict, failed, passed, warned
from binderbox.checks.probe import Probe, Skip
from binderbox.checks.workloads import AGAIN, judge_unit, look_told, look_unit
from binderbox.parts.firewall import names
from binderbox.parts.firewall.backstop_rules import BACKSTOP

TABLE = f"inet {names.TABLE}"
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


def judge_refused(told: tuple[Mapping[str, str], ...]) -> Verdict:
    """The firewall has stopped it; who did it comes back."""
    if not told:
        return passed("none in the last day")
    said = "; ".join(one["why"] for one in told[-3:])
    needed = "visitors who ask few addresses"
    fix = f"journalctl -u {layout.KEEPER_UNIT} -o cat on the host has each refusal; keep it for your provider's abuse desk"
    return warned(said, needed, fix)


def look_tried(probe: Probe) -> Mapping[str, Any]:
    tried = probe.tried_abuse()
    if tried is None:
        raise Skip("the node has not tried yet")
    return tried


def judge_tried(tried: Mapping[str, Any]) -> Verdict:
    again = f"binderbox abuse check HOST; journalctl -u {layout.ABUSE_SERVICE} on the host"
    if tried["why"]:
        return warned(f"it could not be tried: {tried['why']}", "a launch of the node's own", again)
    score = f"{tried['good']} of {tried['of']}, {tried['at']}"
    if not tried["faults"]:
        return passed(score)
    return failed(f"{score}: {'; '.join(tried['faults'])}", "all as they must be", again)


CHECKS = (
    Check("BBX-P01", "prepared", "the firewall's unit is active", look_unit(layout.FIREWALL_UNIT), judge_unit,
          "It is loaded before k3s, so that no pod ever runs without it."),
    Check("BBX-P02", "prepared", "the firewall's table and its backstop are loaded", look_tables, judge_tables,
          "A `flush ruleset` by another tool takes the table away; the backstop then lets nothing new pass."),
    Check("BBX-G01", "guard", "nobody scanned from this node", look_told(layout.KEEPER_STATUS, "the firewall's keeper"), judge_refused,
          "A scan is refused after its first few addresses. The repository is told for a day."),
    Check("BBX-G02", "guard", "strangers' code reached nothing that it must not when the node tried last", look_tried, judge_tried,
          "Once a day, from a notebook and from a step of its build: binderbox-abuse.timer."),
)  # fmt: skip
