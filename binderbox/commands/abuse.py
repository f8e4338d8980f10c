"""Whether strangers' code can do from a member what it must not, tried from the inside."""

from __future__ import annotations

from binderbox.commands.connect import look, opened, planned
from binderbox.commands.prove import tried
from binderbox.commands.visiting import visiting
from binderbox.decide.facts import HostFacts
from binderbox.launch.reach import BANNED, Seen, allowed_targets, fault, forbidden_targets
from binderbox.member.model import Networks
from binderbox.output.progress import Progress
from binderbox.output.requests import AbuseRequest, Sources
from binderbox.output.results import AbuseResult, AbuseRow


def check(request: AbuseRequest, progress: Progress) -> AbuseResult:
    """Launch the sample, and try from its notebook and from a step of its build what abusers try."""
    with opened(request.connection) as host:
        probe, decided = planned(look(host, Sources()), Sources())
        with visiting(host, probe, progress) as visit:
            by_notebook, by_build = tried(visit, decided.sample_base)
            rows = rows_of(by_notebook, by_build, visit.facts, visit.networks)
            return AbuseResult(host.name, rows)


def rows_of(by_notebook: Seen, by_build: Seen, facts: HostFacts, networks: Networks) -> tuple[AbuseRow, ...]:
    """What each tried thing came to."""
    wanted = {
        **dict.fromkeys(forbidden_targets(facts, networks, guarded=BANNED in by_notebook), False),
        **dict.fromkeys(allowed_targets(facts), True),
    }
    return tuple(
        AbuseRow(
            name,
            "answered" if must_work else "refused",
            _said(by_notebook[name]),
            _said(by_build[name]),
            "; ".join(
                f"{where}: {wrong}"
                for where, wrong in (
                    ("notebook", fault(name, by_notebook[name], must_work)),
                    ("build", fault(name, by_build[name], must_work, by_build=True)),
                )
                if wrong
            ),
        )
        for name, must_work in wanted.items()
    )


def _said(answer: bool | str) -> str:
    return "answered" if answer is True else str(answer)
