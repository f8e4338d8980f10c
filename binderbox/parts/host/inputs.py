"""What the host itself must hold before anything is started on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from binderbox import layout
from binderbox.artifacts.resolve import Artifact
from binderbox.checks.traps import switch_off_lines
from binderbox.decide import proxies
from binderbox.decide.disk import DiskPlan, journal_mb
from binderbox.decide.facts import HostFacts
from binderbox.decide.sizing import MAX_PODS
from binderbox.member.model import Member
from binderbox.parts.firewall.backstop_rules import render_backstop
from binderbox.parts.firewall.rules import make_inputs as make_firewall
from binderbox.parts.firewall.rules import render_ruleset
from binderbox.parts.ingress import acme
from binderbox.parts.ingress.drained import DrainInputs, drain_inputs
from binderbox.parts.ingress.values import INGRESS_USER
from binderbox.parts.secrets.kinds import MADE

SYSCTLS: Mapping[str, int] = {
    # Three members ran out of these, and `sysctl -w` did not survive a reboot: mybinder.org-deploy #2727 #3173 #3654
    "fs.inotify.max_user_instances": 8192,
    "fs.inotify.max_user_watches": 524288,
    "net.ipv4.ip_forward": 1,
    "net.bridge.bridge-nf-call-iptables": 1,  # or the firewall never sees one pod speak to another
    "net.bridge.bridge-nf-call-ip6tables": 1,
}
# Each pod and each build step is a neighbour, and the kernel's own ceiling of 1024 is that of the whole machine; its table is
# cleared of idle ones from the second on. A container has no such settings: its machine has.
NEIGHBOURS: Mapping[str, int] = {
    f"net.ipv4.neigh.default.gc_thresh{at}": times * MAX_PODS for at, times in ((1, 1), (2, 2), (3, 4))
}

# needrestart(1), which runs after each upgrade, would break off every build for a new library of Python's, and every session's
# connection for one of k3s's; an install restarts them itself, and waits for builds.
NEEDRESTART = """\
# binderbox restarts these itself, when nobody builds.
$nrconf{override_rc}->{qr(^binderbox-)} = 0;
$nrconf{override_rc}->{qr(^k3s)} = 0;
"""


@dataclass(frozen=True)
class HostInputs:
    """What the host itself must hold. Texts are whole files; `directories` are (path, mode, owner id).

    + switch_off: lines that end other firewalls
    """

    packages: tuple[str, ...]
    modules: tuple[str, ...]
    sysctls: Mapping[str, int]
    directories: tuple[tuple[str, str, int], ...]
    journald: str
    firewall: str
    backstop: str
    member_text: str
    who: str
    bundle_sha256: str | None
    bundle_lock: str | None
    others_gb: Mapping[str, float]  # what else takes of each disk
    secrets: Mapping[str, str]
    certificate_names: tuple[str, ...]  # none when certificates come by ACME
    extra_ca: tuple[str, ...]
    drain: DrainInputs
    records: str | None  # artifacts.lock.json, where artifacts come from the Internet
    versions_text: str | None  # a site's own pins
    ahead: tuple[Artifact, ...]  # what the host fetches while the install goes on
    switch_off: tuple[str, ...]
    proxy: Mapping[str, str]  # variables of the site's proxy; proxies.SECRET stands for what the node holds


def make_inputs(
    member: Member,
    member_text: str,
    facts: HostFacts,
    disk: DiskPlan,
    who: str,
    bundle_sha256: str | None,
    bundle_lock: str | None,
    *,
    records: str | None,
    versions_text: str | None,
    ahead: tuple[Artifact, ...],
    switch_off: Collection[str],
) -> HostInputs:
    firewall = make_firewall(member, facts)
    return HostInputs(
        packages=facts.missing_packages,
        modules=layout.MODULES,
        sysctls={**SYSCTLS, **(NEIGHBOURS if facts.container == "none" else {})},
        directories=(
            (layout.ETC, "700", 0),
            (layout.SECRETS, "700", 0),
            (layout.CA, "755", 0),
            (f"{layout.ETC}/tls", "700", 0),
            (member.data_dir, "755", 0),
            # The uids of the object store's and the hub's images; both run without root.
            (f"{member.data_dir}/objectstore", "700", 1000),
            (f"{member.data_dir}/hub", "700", 1000),
            (layout.INGRESS_ROUTES, "700", INGRESS_USER),
            *([(f"{member.data_dir}/{acme.DIRECTORY}", "700", INGRESS_USER)] if member.tls == "acme" else []),
        ),
        journald=f"[Journal]\nSystemMaxUse={journal_mb(disk.logs_gb.value)}M\n",
        firewall=render_ruleset(firewall),
        backstop=render_backstop(firewall),
        member_text=member_text,
        who=who,
        bundle_sha256=bundle_sha256,
        bundle_lock=bundle_lock,
        others_gb={
            key: value.value
            for key, value in (
                ("other_gb", disk.other_gb),
                ("other_data_gb", disk.data_other_gb),
                ("other_node_gb", disk.node_other_gb),
            )
            if value is not None
        },
        secrets=MADE,
        certificate_names=(member.domain, f"*.{member.domain}") if member.tls == "own-ca" else (),
        extra_ca=member.extra_ca,
        drain=drain_inputs(member.domain, facts.drain),
        records=records,
        versions_text=versions_text,
        ahead=ahead,
        proxy=proxies.environment(member, facts.secrets, facts.addresses),
        switch_off=tuple(line for line in switch_off_lines(facts.filters) if line in switch_off),
    )
