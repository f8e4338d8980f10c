"""What an install would change, found out without changing anything."""

from __future__ import annotations

from binderbox.commands.artifacts.trusting import lifted, told_of, vouched
from binderbox.commands.connect import config_diff, look, opened, planned, probe_of
from binderbox.commands.phases import INSTALL, preview
from binderbox.output.progress import Progress
from binderbox.output.requests import (
    PlanRequest,
)
from binderbox.output.results import (
    PlanResult,
)


def plan_host(request: PlanRequest, progress: Progress) -> PlanResult:
    """What an install would change; touches nothing."""
    with opened(request.connection, request.sources) as host:
        probe = look(host, request.sources)
        stated = vouched(host, probe, request.sources, require_pins=request.require_pins)
        probe = probe_of(host, probe.facts, request.sources, stated)
        for line in (*lifted(probe.member), *told_of(probe.artifacts, stated)):
            progress.note(line)
        probe, decided = planned(probe, request.sources, stated)
        outcome = preview(INSTALL, host, decided, progress)
        return PlanResult(
            host=host.name,
            values=decided.values,
            phases=outcome.phases,
            changed=outcome.changed,
            diffs=outcome.diffs,
            config_diff=config_diff(probe.facts, decided.member_text),
        )
