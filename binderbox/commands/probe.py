"""One host as checks see it: what it answers, beside the config, the artifacts, the plan and the proof that belong to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from binderbox import layout
from binderbox.artifacts.resolve import Artifact
from binderbox.checks.probe import Reached
from binderbox.decide import proxies
from binderbox.output.results import Proof
from binderbox.parts.ingress import acme
from binderbox.parts.ingress.drained import KEY_HEADER
from binderbox.plan import Plan
from binderbox.world import cluster
from binderbox.world.answers import HostAnswers
from binderbox.world.host.reaching import reach


@dataclass(frozen=True)
class HostProbe(HostAnswers):
    """Fulfils `checks.probe.Probe`. `plan`, `launch` and `upstream` are None until there is one."""

    member_text: str
    artifacts: Mapping[str, Artifact]
    plan: Plan | None = None
    launch: Proof | None = None
    upstream: Mapping[str, tuple[str, str]] | None = None

    @property
    def from_bundle(self) -> bool:
        """Whether the artifacts come from a bundle, so that the host need reach nobody."""
        return any(one.file for one in self.artifacts.values())

    def ca_pem(self) -> str | None:
        """The same, and who signed what a staging authority gave to this node, of whom no machine knows."""
        known = [super().ca_pem() or "", *acme.issuers(self.member, self.facts.received)]
        return "\n".join(one for one in known if one) or None

    def outside(self, *argv: str) -> tuple[str, ...]:
        before = proxies.exports(self.member)
        return ("sh", "-c", f'{before}exec "$@"', "outside", *argv) if before else argv

    def reach(self, urls: Sequence[str]) -> tuple[Reached, ...]:
        """Ask each place from the host, as its programs would."""
        return reach(self.host, urls, self.member.extra_ca, proxies.exports(self.member))

    def own_headers(self) -> dict[str, str]:
        """What lets binderbox's own launches in where all others are refused: see parts.ingress.drained."""
        drain = self.facts.drain
        if drain is None or not drain.closed:
            return {}
        self.host.hide(drain.key)
        return {KEY_HEADER: drain.key}

    def why(self, category: str) -> str:
        """The last events and log lines of whatever belongs to a category and is not well."""
        if category in ("prepared", "k3s", "builder"):
            sick = [
                unit
                for unit in map(self.unit, layout.UNITS)
                if unit.load != "not-found" and unit.active != "active"
            ]
            return "\n".join(f"{unit.name}: {line}" for unit in sick for line in self.journal(unit.name, 10))
        namespace = layout.HUB_NAMESPACE if category == "binderhub" else layout.NAMESPACE
        lines: list[str] = []
        for pod in self.kubectl_json(["get", "pods", "-n", namespace])["items"]:
            name, states = pod["metadata"]["name"], pod["status"].get("containerStatuses", [])
            if not states or not all(state["ready"] for state in states):
                lines += [
                    f"{name}: {event}" for event in cluster.events_of(self.host, namespace, "Pod", name)[-5:]
                ]
                lines += [
                    f"{name}: {line}"
                    for line in cluster.kubectl_or_nothing(
                        self.host, "logs", "-n", namespace, name, "--all-containers", "--tail=10"
                    )
                ]
        return "\n".join(lines)
