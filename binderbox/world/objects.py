"""Many of a cluster's objects, fetched at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from binderbox.world import cluster
from binderbox.world.host.hosts import Host

KINDS = {
    "nodes": "Node",
    "deployments": "Deployment",
    "daemonsets": "DaemonSet",
    "services": "Service",
    "service": "Service",
    "pods": "Pod",
    "networkpolicies": "NetworkPolicy",
    "mutatingadmissionpolicies": "MutatingAdmissionPolicy",
    "mutatingadmissionpolicybindings": "MutatingAdmissionPolicyBinding",
    "validatingadmissionpolicies": "ValidatingAdmissionPolicy",
    "validatingadmissionpolicybindings": "ValidatingAdmissionPolicyBinding",
}
LISTS = (
    *(f"/api/v1/{kind}" for kind in ("nodes", "services", "pods")),
    *(f"/apis/apps/v1/{kind}" for kind in ("deployments", "daemonsets")),
    "/apis/networking.k8s.io/v1/networkpolicies",
    *(f"/apis/admissionregistration.k8s.io/v1/{kind}" for kind in KINDS if "admission" in kind),
)


@dataclass(frozen=True)
class Objects:
    """Objects of all namespaces, as one look found them."""

    items: Sequence[Mapping[str, Any]]

    def answer(self, args: Sequence[str]) -> Any:
        """What `kubectl get KINDS [NAME] [-n NAMESPACE] [-l KEY=VALUE] -o json` would say; None for another question."""
        words, namespace, label = list(args), "", ""
        for flag in ("-n", "-l"):
            if flag in words:
                at = words.index(flag)
                value = words[at + 1] if at + 1 < len(words) else ""
                namespace, label = (value, label) if flag == "-n" else (namespace, value)
                del words[at : at + 2]
        kinds = words[1].split(",") if len(words) in (2, 3) and words[0] == "get" else []
        if (
            not kinds
            or not all(kind in KINDS for kind in kinds)
            or any(word.startswith("-") for word in words)
        ):
            return None
        wanted = {KINDS[kind] for kind in kinds}
        found = [
            one
            for one in self.items
            if one["kind"] in wanted
            and namespace in ("", one["metadata"].get("namespace", ""))
            and _labelled(one, label)
        ]
        if len(words) == 2:
            return {"items": found}
        return next((one for one in found if one["metadata"]["name"] == words[2]), None)


def fetch(host: Host) -> Objects:
    """One look at everything that a member's state is told from; raises StepFailed.

    A list names its kind, `PodList`, and its items do not.
    """
    found = cluster.raw(host, *LISTS)
    return Objects(
        [{"kind": one["kind"].removesuffix("List"), **item} for one in found for item in one["items"]]
    )


def _labelled(one: Mapping[str, Any], selector: str) -> bool:
    wanted = dict(pair.split("=", 1) for pair in selector.split(",") if pair)
    labels = one["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in wanted.items())
