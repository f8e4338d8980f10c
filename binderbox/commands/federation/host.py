"""What only the host of a member can tell `federation check`: its public name, and whether its firewall holds.

Apart from the rest because ssh, hosts and the parts of a member are a second of imports, and status needs none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from binderbox.checks.core import run_checks
from binderbox.commands.connect import look, opened, planned
from binderbox.commands.prove import prove
from binderbox.commands.serve_sample import REF, served
from binderbox.commands.visiting import visiting
from binderbox.errors import BinderboxError
from binderbox.federation.members.look import make_entry
from binderbox.federation.redirector.config import HostEntry
from binderbox.launch.reach import forbidden_targets
from binderbox.launch.visitor import BuildSeen
from binderbox.output.progress import Progress
from binderbox.output.requests import Connection, Sources
from binderbox.output.results import CheckResult
from binderbox.parts import checks
from binderbox.world.http.endpoints import Way

PROOFS = ("BBX-L04", "BBX-L05")


def member_of(connection: Connection, way: Way) -> tuple[HostEntry, Way, str]:
    """The member that a host is, by the config it holds, and how its names are reached where DNS does not know them;
    and who answers for it, if it says so.

    With `tls: own-ca` its authority is added, so that more can be said of it than that nobody else trusts it.
    """
    with opened(connection) as host:
        probe = look(host, Sources())
        domain = probe.member.domain
        there = probe.way
        ca_pem = probe.ca_pem() or way.ca_pem
    own = dict.fromkeys((domain, probe.member.hub_domain), there) if there else {}
    reached = Way({**way.addresses, **own}, ca_pem)
    return make_entry(domain, probe.member.binder_url), reached, probe.member.abuse_contact or ""


def proofs_of(
    connection: Connection, progress: Progress, launch: Callable[[str, str], BuildSeen]
) -> tuple[BuildSeen, tuple[CheckResult, ...]]:
    """`launch` of the sample repository, which the host itself serves meanwhile, and what its pods can reach.

    The second is the proof of an install once more, by a build of its own: from a build step and from a kernel.
    """
    with opened(connection) as host:
        probe, decided = planned(look(host, Sources()), Sources())
        networks = probe.member.networks
        with served(
            host, decided.sample_base, forbidden_targets(probe.facts, networks), networks.pod_gateway
        ) as url:
            build = launch(url, REF)
        with visiting(host, probe, progress) as there:
            try:
                proof = prove(there, decided.sample_base)
            except BinderboxError as error:
                told = CheckResult("BBX-L04", "launch", "", "fail", error.message, "a proof", error.remedy)
                return build, (told,)
        found = run_checks(checks.of("launch"), replace(probe, launch=proof))
    return build, tuple(one for one in found if one.id in PROOFS)
