"""Launch a repository on a member, as a visitor would."""

from __future__ import annotations

from binderbox.commands.connect import look, opened, planned
from binderbox.commands.prove import Visit, launch_sample, stop
from binderbox.commands.prove import launch as launch_repository
from binderbox.commands.visiting import visiting
from binderbox.errors import (
    UsageError,
)
from binderbox.launch.stream import Launch
from binderbox.output.progress import Progress
from binderbox.output.requests import (
    LaunchRequest,
    Sources,
)
from binderbox.output.results import (
    LaunchResult,
)


def launch(request: LaunchRequest, progress: Progress) -> LaunchResult:
    """Launch a repository, or the sample, and wait until its notebook answers."""
    with opened(request.connection) as host:
        probe, decided = planned(look(host, Sources()), Sources())
        with visiting(host, probe, progress) as visit:
            launched, result = _launched(visit, request, decided.sample_base)
            if request.stop:
                stop(visit, launched)
            return result


def _launched(visit: Visit, request: LaunchRequest, sample_base: str) -> tuple[Launch, LaunchResult]:
    if request.url is None:
        return launch_sample(visit, sample_base)
    try:
        return launch_repository(visit, request.url, request.ref)
    except ValueError as error:
        raise UsageError(
            str(error), remedy=f"binderbox launch {request.connection.host} URL --ref REF"
        ) from error
