"""What the first phase leaves on the host: the firewall, kernel settings, directories and secrets of root's alone."""

from __future__ import annotations

from collections.abc import Mapping

from binderbox import layout
from binderbox.checks.core import Check, Verdict, failed, passed
from binderbox.checks.probe import FileInfo, Probe
from binderbox.checks.workloads import AGAIN, judge_private, judge_unit, look_unit, planned
from binderbox.parts.secrets.kinds import MADE

TABLE = "inet binderbox"


def look_tables(probe: Probe) -> tuple[str, ...]:
    return probe.nft_tables()


def judge_tables(tables: tuple[str, ...]) -> Verdict:
    if TABLE in tables:
        return passed(TABLE)
    told = ", ".join(tables) or "no table at all"
    return failed(told, f"table {TABLE}", f"nft -f {layout.FIREWALL_FILE} on the host; or {AGAIN}")


def look_sysctls(probe: Probe) -> Mapping[str, tuple[int, str]]:
    """By name: what is planned and what the kernel says."""
    return {name: (wanted, probe.sysctl(name)) for name, wanted in planned(probe).host.sysctls.items()}


def judge_sysctls(values: Mapping[str, tuple[int, str]]) -> Verdict:
    """A higher value than planned is fine, except for a switch."""
    bad = {
        name: (wanted, found)
        for name, (wanted, found) in values.items()
        if not found.isdigit() or (int(found) != wanted if wanted in (0, 1) else int(found) < wanted)
    }
    if not bad:
        return passed(f"{len(values)} settings")
    return failed(
        ", ".join(f"{name} is {found or 'unknown'}" for name, (_, found) in bad.items()),
        ", ".join(f"{name} {wanted}" for name, (wanted, _) in bad.items()),
        f"see which file in /etc/sysctl.d sets it later, then {AGAIN}",
    )


def look_secrets(probe: Probe) -> Mapping[str, FileInfo | None]:
    return probe.files([layout.ETC, layout.SECRETS, *(f"{layout.SECRETS}/{name}" for name in MADE)])


CHECKS = (
    Check("BBX-P01", "prepared", "the firewall's unit is active", look_unit("binderbox-firewall.service"), judge_unit,
          "It is loaded before k3s, so that no pod ever runs without it."),
    Check("BBX-P02", "prepared", "the firewall's table is loaded", look_tables, judge_tables,
          "A `flush ruleset` by another tool takes it away."),
    Check("BBX-P03", "prepared", "the kernel settings are in force", look_sysctls, judge_sysctls,
          "Too few inotify instances have stopped builds on three members."),
    Check("BBX-P04", "prepared", "the secrets are root's alone", look_secrets, judge_private,
          "They were made once on the host; uninstall without --purge keeps them."),
)  # fmt: skip
