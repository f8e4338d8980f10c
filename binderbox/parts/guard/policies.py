"""Whether the member's network policies still name the pods that they mean.

A policy that names labels of an older chart lets nobody in, and says nothing: mybinder.org-deploy 595601e5, 7d5cc576 #3831.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from binderbox import layout
from binderbox.checks.core import Check, Verdict, failed, passed
from binderbox.checks.probe import Probe

NAMESPACES = (layout.NAMESPACE, layout.HUB_NAMESPACE)
NAMED = "kubernetes.io/metadata.name"  # a label that each namespace has: its own name


@dataclass(frozen=True)
class Policed:
    """Policies of our own namespace, and the labels of pods by namespace."""

    policies: Sequence[Mapping[str, Any]]
    pods: Mapping[str, Sequence[Mapping[str, str]]]


def look_policies(probe: Probe) -> Policed:
    pods = {name: probe.kubectl_json(["get", "pods", "-n", name])["items"] for name in NAMESPACES}
    return Policed(
        probe.kubectl_json(["get", "networkpolicies", "-n", layout.NAMESPACE])["items"],
        {name: [one["metadata"].get("labels", {}) for one in found] for name, found in pods.items()},
    )


def judge_policies(found: Policed) -> Verdict:
    nobody = [
        f"{policy['metadata']['name']}: {', '.join(f'{key}={value}' for key, value in sorted(labels.items()))}"
        for policy in found.policies
        for namespace, labels in _named(policy)
        if not any(labels.items() <= pod.items() for pod in found.pods.get(namespace, ()))
    ]
    if nobody:
        needed = "selectors that some pod of the member has"
        return failed(f"no pod is named by {'; '.join(nobody)}", needed, "binderbox install HOST")
    return passed(f"{len(found.policies)} policies")


def _named(policy: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """(namespace, labels) of the pods that it is for, and of those that it lets in or reach."""
    spec, own = policy["spec"], str(policy["metadata"]["namespace"])
    yield own, spec["podSelector"].get("matchLabels", {})
    for way, peers in (("ingress", "from"), ("egress", "to")):
        for rule in spec.get(way) or ():
            for peer in rule.get(peers) or ():
                if "podSelector" in peer:
                    namespaces = peer.get("namespaceSelector", {}).get("matchLabels", {})
                    yield namespaces.get(NAMED, own), peer["podSelector"].get("matchLabels", {})


CHECKS = (
    Check("BBX-G07", "guard", "the member's network policies name pods that exist", look_policies, judge_policies,
          "They are the second layer behind the firewall, and the first thing that breaks when a chart changes its labels."),
)  # fmt: skip
