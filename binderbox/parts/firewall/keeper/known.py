"""What the firewall is told of pods, decided from what the API server says of them.

- a pod counts as the member's own only with a known address, not on the host's network, not ended, and with the right
  namespace or label;
- an address that two live pods claim counts only if both are system pods;
- every other pod is of a group: that of its repository, or one of its own.

Standard library only: it travels with the keeper.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from binderbox.parts.repositories import same

REPOSITORY = ("BINDER_REPO_URL", "binder-repo")  # a server's environment, a build pod's annotation
BINDER = "binder"  # the label of BinderHub's own pods
FIRST_GROUP = 2  # of marks: 0 is none, and 1 is of who is not known yet (spread.py)


@dataclass(frozen=True)
class Rules:
    """Which pods are the member's own: all of `whole_namespaces`, and these components of `hub_namespace`."""

    pod_cidr: str
    whole_namespaces: tuple[str, ...]
    hub_namespace: str
    components: tuple[str, ...]


def is_system(pod: dict[str, Any], rules: Rules) -> bool:
    """Say whether a pod is one of the member's own."""
    metadata = pod.get("metadata") or {}
    namespace = metadata.get("namespace")
    if namespace in rules.whole_namespaces:
        return True
    return namespace == rules.hub_namespace and _component(pod) in rules.components


@dataclass(frozen=True)
class Known:
    """What the firewall is to know: the addresses of the member's own pods, each port of the node that is one's, the group of
    every other pod's address, and the steps of builds."""

    addresses: frozenset[str] = frozenset()
    binder: frozenset[str] = frozenset()  # those of BinderHub, among them
    host_ports: frozenset[tuple[int, str, int]] = frozenset()  # port of the node, address and port of the pod
    groups: frozenset[tuple[str, int]] = frozenset()
    steps: frozenset[tuple[str, str]] = frozenset()  # addresses and link addresses of build steps


def known_of(pods: Collection[dict[str, Any]], rules: Rules) -> Known:
    """The addresses that only system pods have, and these pods' host ports; of two that want one, none has it."""
    named = named_of(pods, rules)
    system: dict[str, dict[str, Any]] = {}
    for pod in pods:
        if is_system(pod, rules):
            system |= dict.fromkeys(_addresses(pod, rules), pod)
    trusted = frozenset(system) - named.keys()
    ports: dict[int, set[tuple[int, str, int]]] = {}
    for address in trusted:
        for port, inside in _host_ports(system[address]):
            ports.setdefault(port, set()).add((port, address, inside))
    return Known(
        trusted,
        frozenset(address for address in trusted if _component(system[address]) == BINDER),
        frozenset(one for found in ports.values() if len(found) == 1 for one in found),
        frozenset((address, one.group) for address, one in named.items()),
    )


def _addresses(pod: dict[str, Any], rules: Rules) -> Iterator[str]:
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    if spec.get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed"):
        return
    network = ipaddress.ip_network(rules.pod_cidr)
    for text in {status.get("podIP"), *(one.get("ip") for one in status.get("podIPs") or [])}:
        with suppress(ValueError):
            if text and ipaddress.ip_address(text) in network:
                yield str(text)


def _host_ports(pod: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Pairs of TCP ports, the node's and the pod's."""
    for container in (pod.get("spec") or {}).get("containers") or []:
        for port in container.get("ports") or []:
            if port.get("hostPort") and port.get("protocol", "TCP") == "TCP":
                yield int(port["hostPort"]), int(port["containerPort"])


@dataclass(frozen=True)
class Named:
    """A pod that is not the member's own, as it is told of: `namespace/name`, and its repository's address or nothing."""

    pod: str
    repository: str

    @property
    def group(self) -> int:
        """The mark of all pods of the repository, however its address is written; of a pod without one, its own."""
        repository = same(self.repository)
        digest = hashlib.sha256((repository or self.pod).encode()).digest()
        return FIRST_GROUP + int.from_bytes(digest[:4], "big") % (2**32 - FIRST_GROUP)


def named_of(pods: Iterable[dict[str, Any]], rules: Rules) -> dict[str, Named]:
    """By address, the pods that are not the member's own; of two that claim one, either."""
    return {
        address: Named(_name(pod), _repository(pod))
        for pod in pods
        if not is_system(pod, rules)
        for address in _addresses(pod, rules)
    }


def _component(pod: dict[str, Any]) -> str:
    return str(((pod.get("metadata") or {}).get("labels") or {}).get("component") or "")


def _name(pod: dict[str, Any]) -> str:
    metadata = pod.get("metadata") or {}
    return f"{metadata.get('namespace')}/{metadata.get('name')}"


def _repository(pod: dict[str, Any]) -> str:
    variable, annotation = REPOSITORY
    for container in (pod.get("spec") or {}).get("containers") or []:
        for one in container.get("env") or []:
            if one.get("name") == variable and one.get("value"):
                return str(one["value"])
    return str(((pod.get("metadata") or {}).get("annotations") or {}).get(annotation) or "")


@dataclass
class PodSet:
    """Pods as last heard of, by uid."""

    rules: Rules
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)

    def replace(self, items: Iterable[dict[str, Any]]) -> None:
        self.pods = {pod["metadata"]["uid"]: pod for pod in items}

    def hear(self, event: dict[str, Any]) -> None:
        """Take in one event of the watch; anything else than a pod's raises ValueError, and the list is read again."""
        kind, pod = event.get("type"), event.get("object") or {}
        if kind not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK") or "metadata" not in pod:
            raise ValueError(f"the watch ended with {kind}: {pod.get('message', '')}")
        if kind == "DELETED":
            self.pods.pop(pod["metadata"]["uid"], None)
        elif kind != "BOOKMARK":
            self.pods[pod["metadata"]["uid"]] = pod

    def known(self) -> Known:
        return known_of(self.pods.values(), self.rules)

    def named(self) -> dict[str, Named]:
        return named_of(self.pods.values(), self.rules)
