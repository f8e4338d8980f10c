"""Kubernetes on the host: its unit, its node, the settings that were fixed at the first start, its resolver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import yaml

from binderbox import layout
from binderbox.checks.core import Check, Verdict, failed, passed
from binderbox.checks.probe import FileInfo, Probe
from binderbox.checks.workloads import (
    AGAIN,
    judge_present,
    judge_private,
    judge_unit,
    look_files,
    look_unit,
    planned,
)
from binderbox.decide.sizing import POD_ADDRESS_MARGIN
from binderbox.member.model import Networks

ENCRYPTION_FILE = f"{layout.K3S_DATA}/server/cred/encryption-config.json"
REGISTRY_HOSTS = f"{layout.K3S_DATA}/agent/etc/containerd/certs.d/{layout.REGISTRY}/hosts.toml"
PACKAGED = ("traefik", "svclb", "local-path-provisioner", "metrics-server")


@dataclass(frozen=True)
class Nodes:
    """The nodes' objects as the API server has them."""

    items: Sequence[Mapping[str, Any]]


def look_nodes(probe: Probe) -> Nodes:
    return Nodes(probe.kubectl_json(["get", "nodes"])["items"])


def judge_nodes(nodes: Nodes) -> Verdict:
    bad, fix = [], "journalctl -u k3s on the host; kubectl describe node"
    for node in nodes.items:
        name = node["metadata"]["name"]
        conditions = {one["type"]: one for one in node["status"].get("conditions", [])}
        ready = conditions.get("Ready", {})
        if ready.get("status") != "True":
            bad.append(f"{name} is not ready: {ready.get('message', 'no word from the kubelet')}")
        bad += [
            f"{name} has {kind}: {one.get('message', '')}"
            for kind, one in conditions.items()
            if kind.endswith("Pressure") and one["status"] == "True"
        ]
        if node["spec"].get("unschedulable"):
            bad.append(f"{name} is cordoned")
            fix = f"kubectl uncordon {name}, on the host"
    names = ", ".join(node["metadata"]["name"] for node in nodes.items)
    if nodes.items and not bad:
        return passed(names)
    return failed("; ".join(bad) or "no node", "one ready node", fix)


@dataclass(frozen=True)
class Addresses:
    """The node's network for pods, and the pods that the plan wants."""

    pod_cidr: str
    pods: int


def look_addresses(probe: Probe) -> Addresses:
    items = look_nodes(probe).items
    return Addresses(items[0]["spec"].get("podCIDR", "") if items else "", planned(probe).sizing.pods.value)


def judge_addresses(found: Addresses) -> Verdict:
    needed = found.pods + POD_ADDRESS_MARGIN
    if not found.pod_cidr:
        return failed(
            "the node has no network for pods", f"{needed} addresses", "journalctl -u k3s on the host"
        )
    have = ip_network(found.pod_cidr).num_addresses
    told = f"{found.pod_cidr} with {have} addresses for {found.pods} pods"
    if have >= needed:
        return passed(told)
    fix = "it was fixed at the first start: set `pods` lower, or uninstall with --purge and install again"
    return failed(told, f"{needed} addresses", fix)


@dataclass(frozen=True)
class Kubelet:
    """What the kubelet says it runs with, and what the plan wants of it."""

    running: Mapping[str, Any]
    planned: Mapping[str, Any]


def look_kubelet(probe: Probe) -> Kubelet:
    name = look_nodes(probe).items[0]["metadata"]["name"]
    running = probe.kubectl_json(["get", "--raw", f"/api/v1/nodes/{name}/proxy/configz"])["kubeletconfig"]
    wanted = yaml.safe_load(planned(probe).kubelet)
    return Kubelet(
        running, {key: value for key, value in wanted.items() if key not in ("apiVersion", "kind")}
    )


def judge_kubelet(found: Kubelet) -> Verdict:
    """Only what the plan sets is compared; the rest is k3s' own."""
    bad = {key: value for key, value in found.planned.items() if not _covers(found.running.get(key), value)}
    if not bad:
        return passed(f"maxPods {found.planned.get('maxPods')}, {len(found.planned)} settings")
    return failed(
        "; ".join(f"{key} is {found.running.get(key)}" for key in bad),
        "; ".join(f"{key} {value}" for key, value in bad.items()),
        f"see what else lies beside {layout.KUBELET_CONFIG}, then {AGAIN}",
    )


def _covers(running: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(running, dict) and all(running.get(key) == value for key, value in wanted.items())
    return bool(running == wanted)


@dataclass(frozen=True)
class Resolved:
    """What the cluster's resolver says of the API server, and what it should."""

    addresses: tuple[str, ...]
    networks: Networks


def look_dns(probe: Probe) -> Resolved:
    return Resolved(probe.cluster_dns("kubernetes.default.svc.cluster.local"), probe.member.networks)


def judge_dns(found: Resolved) -> Verdict:
    if found.addresses == (found.networks.kubernetes_ip,):
        return passed(f"{found.networks.cluster_dns} answers")
    told = ", ".join(found.addresses) or "no such name"
    return failed(
        told, found.networks.kubernetes_ip, "kubectl -n kube-system logs -l k8s-app=kube-dns on the host"
    )


def look_packaged(probe: Probe) -> tuple[str, ...]:
    items = probe.kubectl_json(["get", "deployments,daemonsets", "-n", "kube-system"])["items"]
    return tuple(item["metadata"]["name"] for item in items)


def judge_packaged(names: tuple[str, ...]) -> Verdict:
    bad = [name for name in names if name.startswith(PACKAGED)]
    if not bad:
        return passed("none of them runs")
    return failed(", ".join(bad), "none: they take ports 80 and 443, or space on the disk", AGAIN)


def look_private(probe: Probe) -> Mapping[str, FileInfo | None]:
    return probe.files([layout.KUBECONFIG, layout.K3S_REGISTRIES])


CHECKS = (
    Check("BBX-K01", "k3s", "k3s is active", look_unit(layout.K3S_UNIT), judge_unit,
          "Its unit is binderbox's own; `journalctl -u k3s` tells the rest."),
    Check("BBX-K02", "k3s", "the node is ready", look_nodes, judge_nodes,
          "Pressure on disk or memory evicts pods; nothing of ours ever cordons the node."),
    Check("BBX-K03", "k3s", "the node has addresses for all pods", look_addresses, judge_addresses,
          "The default network of a node caps it at about 250 pods, and cannot be changed later."),
    Check("BBX-K04", "k3s", "the kubelet runs with the planned settings", look_kubelet, judge_kubelet,
          "Asked of the kubelet itself: a file that it does not read changes nothing."),
    Check("BBX-K05", "k3s", "containerd knows the registry", look_files(REGISTRY_HOSTS), judge_present,
          "k3s writes this file from registries.yaml when it starts."),
    Check("BBX-K06", "k3s", "the cluster's resolver answers", look_dns, judge_dns,
          "A member without it fails every launch, with all health checks green."),
    Check("BBX-K07", "k3s", "secrets are encrypted at rest", look_files(ENCRYPTION_FILE), judge_private,
          "k3s keeps the key in this file."),
    Check("BBX-K08", "k3s", "the packaged parts are off", look_packaged, judge_packaged,
          "binderbox brings its own ingress; the packaged ones must be off before the first start."),
    Check("BBX-K09", "k3s", "kubeconfig and registry credential are root's alone", look_private, judge_private,
          "Whoever reads them owns the cluster."),
)  # fmt: skip
