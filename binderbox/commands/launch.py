"""Launch a repository on a member, as a visitor would."""

from __future__ import annotations

from binderbox.commands.connect import look, opened, planned, visiting
from binderbox.commands.prove import launch as launch_repository
from binderbox.commands.prove import launch_sample
from binderbox.errors import (
    UsageError,
)
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
            if request.url is None:
                return launch_sample(visit, decided.sample_base)
            try:
                return launch_repository(visit, request.url, request.ref)[1]
            except ValueError as error:
                raise UsageError(
                    str(error), remedy=f"binderbox launch {request.connection.host} URL --ref REF"
                ) from error
