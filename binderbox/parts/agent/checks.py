"""What the node does by itself, on timers."""

from __future__ import annotations

from binderbox.checks.core import Check
from binderbox.checks.workloads import judge_unit, look_unit
from binderbox.parts.agent.units import FOLLOW, WATCH

CHECKS = (
    Check("BBX-A01", "agent", "the follower's timer is active", look_unit(FOLLOW.timer), judge_unit,
          "It keeps the node equal to the prime; the redirector sends nothing to one that differs."),
    Check("BBX-A02", "agent", "the watch's timer is active", look_unit(WATCH.timer), judge_unit,
          "It restarts the hub when launches fail one after the other, and says when /health changes to and fro."),
)  # fmt: skip
