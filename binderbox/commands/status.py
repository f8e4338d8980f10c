"""One screen of how a member is doing, within seconds: a look at the host while the rest of the program is imported."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module

from binderbox import layout
from binderbox.decide.facts import make_facts
from binderbox.errors import StepFailed
from binderbox.output.progress import Progress
from binderbox.output.requests import StatusRequest
from binderbox.output.results import StatusResult
from binderbox.world import jobs, objects, units
from binderbox.world.host.gather import gather
from binderbox.world.host.hosts import reached

ASKING = ("binderbox.world.http.certificate", "dns.message")  # what some checks import once they ask


def status(request: StatusRequest, progress: Progress) -> StatusResult:
    """One screen: what is installed, whether it is well, how full it is."""
    with ThreadPoolExecutor(5) as beside:
        judging = beside.submit(import_module, "binderbox.commands.wellness")
        for name in ASKING:
            beside.submit(import_module, name)
        with reached(request.connection) as host:
            asked = beside.submit(objects.fetch, host)
            shown = beside.submit(units.show, host, (*layout.UNITS, layout.BUILDS_SLICE))
            kept = beside.submit(jobs.kept, host)
            facts = make_facts(gather(host, brief=True))
            if facts.applied is None:
                return StatusResult(host.name, "absent")
            known = None
            with suppress(StepFailed):  # then each check says for itself that Kubernetes does not answer
                known = asked.result()
            result: StatusResult = judging.result().status_of(
                host, facts, known, shown.result(), kept.result()
            )
            return result
