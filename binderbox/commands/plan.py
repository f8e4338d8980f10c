"""What an install would change, found out without changing anything."""

from __future__ import annotations

from binderbox.commands.connect import config_diff, look, opened, planned
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
        probe, decided = planned(look(host, request.sources), request.sources)
        outcome = preview(INSTALL, host, decided, progress)
        return PlanResult(
            host=host.name,
            values=decided.values,
            phases=outcome.phases,
            changed=outcome.changed,
            diffs=outcome.diffs,
            config_diff=config_diff(probe.facts, decided.member_text),
        )
