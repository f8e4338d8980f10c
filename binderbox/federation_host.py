"""What only the host of a member can tell `federation check`: its public name, and whether its firewall holds.

Apart from the rest because ssh, hosts and the parts of a member are a second of imports, and status needs none of them.
"""

from __future__ import annotations

from dataclasses import replace

from binderbox import checks
from binderbox.checks.core import run_checks
from binderbox.errors import BinderboxError
from binderbox.federation.config import HostEntry
from binderbox.federation.look import make_entry
from binderbox.progress import Progress
from binderbox.prove import prove
from binderbox.results import CheckResult, Connection, Sources
from binderbox.session import look, opened, planned, visiting
from binderbox.world.endpoints import Way
from binderbox.world.web import address_for

PROOFS = ("BBX-L04", "BBX-L05")


def member_of(connection: Connection, way: Way) -> tuple[HostEntry, Way]:
    """The member that a host is, by the config it holds, and how its names are reached where DNS does not know them.

    With `tls: own-ca` its authority is added, so that more can be said of it than that nobody else trusts it.
    """
    with opened(connection) as host:
        probe = look(host, Sources())
        domain = probe.member.domain
        there = address_for(domain, probe.facts.address)
        ca_pem = probe.ca_pem() or way.ca_pem
    own = dict.fromkeys((domain, probe.member.hub_domain), there) if there else {}
    return make_entry(domain, probe.member.binder_url), Way({**way.addresses, **own}, ca_pem)


def firewall_of(connection: Connection, progress: Progress) -> tuple[CheckResult, ...]:
    """The proof of an install once more: what a build step and a kernel can reach on that host."""
    with opened(connection) as host:
        probe, decided = planned(look(host, Sources()), Sources())
        with visiting(host, probe, progress) as there:
            try:
                proof = prove(there, decided.sample_base)
            except BinderboxError as error:
                return (CheckResult("BBX-L04", "launch", "", "fail", error.message, "a proof", error.remedy),)
        found = run_checks(checks.of("launch"), replace(probe, launch=proof))
    return tuple(one for one in found if one.id in PROOFS)
