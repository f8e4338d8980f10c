"""Everything that can be said of a host, before an install and after it."""

from __future__ import annotations

from dataclasses import replace

from binderbox.checks.core import AT_ONCE, run_checks
from binderbox.commands.artifacts.upstream import asked_again
from binderbox.commands.connect import look, opened, planned
from binderbox.output.progress import Progress
from binderbox.output.requests import (
    CheckRequest,
)
from binderbox.output.results import (
    CheckReport,
)
from binderbox.parts import checks


def check_host(request: CheckRequest, progress: Progress) -> CheckReport:
    """Everything that can be said before an install, and of an installed host also whether its parts are well."""
    with opened(request.connection, request.sources) as host:
        probe = look(host, request.sources)
        found = run_checks(checks.of(*checks.PREFLIGHT), probe, at_once=AT_ONCE)
        if probe.facts.applied:
            probe, _ = planned(probe, request.sources)
            found += run_checks(checks.of(*checks.INSTALLED), probe, at_once=AT_ONCE)
            if request.upstream:
                probe = replace(probe, upstream=asked_again(host, probe, request.sources, progress))
            found += run_checks(checks.of("artifacts"), probe)
        return CheckReport(host.name, found)
