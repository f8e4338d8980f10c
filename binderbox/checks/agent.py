"""What the node does by itself, on timers."""

from __future__ import annotations

from binderbox.agentfiles import TIMER
from binderbox.checks.core import Check
from binderbox.checks.workloads import judge_unit, look_unit

CHECKS = (
    Check("BBX-A01", "agent", "the follower's timer is active", look_unit(TIMER), judge_unit,
          "It keeps the node equal to the prime; the redirector sends nothing to one that differs."),
)  # fmt: skip
