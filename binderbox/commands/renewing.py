"""The ingress renews by a length that it is told; the first certificates say what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from binderbox.commands.phases import INSTALL, Outcome, run
from binderbox.commands.probe import HostProbe
from binderbox.decide.facts import make_facts
from binderbox.output.progress import Progress
from binderbox.parts.ingress import acme
from binderbox.parts.ingress.values import make_inputs
from binderbox.plan import Plan
from binderbox.world.host.gather import gather
from binderbox.world.host.hosts import Host

TITLE = "Set the renewal of certificates"


def renewed_in_time(
    host: Host, probe: HostProbe, decided: Plan, progress: Progress, on_step: Callable[[str], None]
) -> tuple[HostProbe, Outcome]:
    """Look what an authority gave since the plan was made, and set the ingress to its life if that is another.

    A plan that was made with certificates in sight has it right already. The probe knows them afterwards.
    """
    member = probe.member
    if member.tls != "acme" or acme.held(member, probe.facts.received):
        return probe, Outcome()
    received = make_facts(gather(host, brief=True)).received
    seen = replace(probe, facts=replace(probe.facts, received=received))
    wanted = make_inputs(member, probe.artifacts, received, probe.facts.identity, probe.facts.secrets)
    if wanted == decided.ingress:
        return seen, Outcome()
    (ingress,) = (phase for phase in INSTALL if phase.proof == "ingress")
    again = replace(decided, ingress=wanted)
    return seen, run((replace(ingress, title=TITLE, waits=True),), host, again, seen, progress, on_step)
