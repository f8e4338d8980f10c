"""What the node does by itself, on timers."""

from __future__ import annotations

from collections.abc import Mapping

from binderbox.checks.core import Check, Verdict, failed, passed
from binderbox.checks.probe import Probe, Skip
from binderbox.checks.workloads import judge_unit, look_unit
from binderbox.parts.agent.units import FOLLOW, WATCH


def look_watched(probe: Probe) -> Mapping[str, str]:
    said = probe.watched()
    if said is None:
        raise Skip("the watch has not looked yet")
    return said


def judge_moved(said: Mapping[str, str]) -> Verdict:
    if said["verdict"] != "moved":
        return passed("addresses and resolvers as at the last install")
    found, _, remedy = said["why"].partition(": run ")
    return failed(found, "the surroundings of the last install", f"run {remedy}")


CHECKS = (
    Check("BBX-A01", "agent", "the follower's timer is active", look_unit(FOLLOW.timer), judge_unit,
          "It keeps the node equal to the prime; the redirector sends nothing to one that differs."),
    Check("BBX-A02", "agent", "the watch's timer is active", look_unit(WATCH.timer), judge_unit,
          "It restarts the hub when launches fail one after the other, and says when /health changes to and fro."),
    Check("BBX-A03", "agent", "the host is where the last install found it", look_watched, judge_moved,
          "Pods and builds ask the resolvers of then. The watch looks each minute."),
)  # fmt: skip
