"""What a release may do beyond running its images: on the node, in the cluster, towards the network. Pure.

An allowed image is not an allowed pod. The follower compares what the next chart asks for with what the installed one
has, and takes no chart that asks for more. Standard library only: it travels to the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

# Kinds that a chart may begin to use: they live in its namespace, and what their pods may do is looked into.
PLAIN_KINDS = (
    "ConfigMap", "CronJob", "DaemonSet", "Deployment", "HorizontalPodAutoscaler", "Job", "NetworkPolicy",
    "PersistentVolumeClaim", "Pod", "PodDisruptionBudget", "Secret", "Service", "ServiceAccount", "StatefulSet",
)  # fmt: skip
ROLES, BINDINGS = ("Role", "ClusterRole"), ("RoleBinding", "ClusterRoleBinding")
PLAIN_VOLUMES = ("configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret")
HOST = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")
# Of a security context, and the values that add nothing.
HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "privileged": (None, False),
    "allowPrivilegeEscalation": (None, False),
    "procMount": (None, "Default"),
    "runAsNonRoot": (None, True),
}
UNCONFINED = ("seccompProfile", "appArmorProfile")


def added(
    before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]], namespace: str
) -> tuple[str, ...]:
    """What the objects of the second release may do and those of the first may not, each told in a few words."""
    had, wanted = list(before), list(after)
    kinds = {str(one.get("kind")) for one in had}
    told = {power for one in wanted for power in _powers(one, namespace)}
    told -= {power for one in had for power in _powers(one, namespace)}
    told |= {
        f"makes a {one.get('kind')}"
        for one in wanted
        if str(one.get("kind")) not in {*PLAIN_KINDS, *ROLES, *BINDINGS, *kinds}
    }
    held = [right for one in had for right in _rights(one)]
    told |= {
        _told(right)
        for one in wanted
        for right in _rights(one)
        if not any(_covers(other, right) for other in held)
    }
    return tuple(sorted(told))


def _powers(one: Mapping[str, Any], namespace: str) -> Iterator[str]:
    kind, meta = str(one.get("kind")), one.get("metadata") or {}
    name = f"{kind}/{meta.get('name')}"
    if meta.get("namespace", namespace) != namespace:
        yield f"{name} in the namespace {meta['namespace']}"
    if kind in BINDINGS:
        role = one.get("roleRef") or {}
        for subject in one.get("subjects") or []:
            who = f"{subject.get('kind')} {subject.get('namespace', namespace)}/{subject.get('name')}"
            yield f"{kind} of {role.get('kind')} {role.get('name')} to {who}"
    if kind == "Service":
        yield from _reach(name, one.get("spec") or {})
    for spec in _pod_specs(one):
        yield from _of_pod(name, spec)


def _reach(name: str, spec: Mapping[str, Any]) -> Iterator[str]:
    if (what := spec.get("type", "ClusterIP")) != "ClusterIP":
        yield f"{name} is a {what}"
    for address in spec.get("externalIPs") or []:
        yield f"{name} takes the address {address}"


def _pod_specs(tree: Any) -> Iterator[Mapping[str, Any]]:
    """Whatever has containers, at any depth: a pod, a template, a template of a template."""
    if isinstance(tree, dict):
        if isinstance(tree.get("containers"), list):
            yield tree
        for value in tree.values():
            yield from _pod_specs(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _pod_specs(value)


def _of_pod(name: str, spec: Mapping[str, Any]) -> Iterator[str]:
    for key in HOST:
        if spec.get(key):
            yield f"{name}: {key}"
    if account := spec.get("serviceAccountName") or spec.get("serviceAccount"):
        yield f"{name} runs as the service account {account}"
    for volume in spec.get("volumes") or []:
        for kind in sorted({*volume} - {"name", *PLAIN_VOLUMES}):
            path = volume[kind].get("path", "") if isinstance(volume[kind], dict) else ""
            yield f"{name}: {kind} {path}".rstrip()
    yield from _of_context(name, spec.get("securityContext") or {})
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(key) or []:
            yield from _of_context(name, container.get("securityContext") or {})
            for port in container.get("ports") or []:
                if port.get("hostPort"):
                    yield f"{name}: hostPort {port['hostPort']}"


def _of_context(name: str, context: Mapping[str, Any]) -> Iterator[str]:
    for key, values in HARMLESS.items():
        if context.get(key) not in values:
            yield f"{name}: {key} {context[key]}"
    if context.get("runAsUser") == 0:
        yield f"{name}: runAsUser 0"
    for capability in (context.get("capabilities") or {}).get("add") or []:
        yield f"{name}: capability {capability}"
    for key in UNCONFINED:
        if (kind := (context.get(key) or {}).get("type", "RuntimeDefault")) != "RuntimeDefault":
            yield f"{name}: {key} {kind}"
    for setting in context.get("sysctls") or []:
        yield f"{name}: sysctl {setting.get('name')}"


Right = tuple[str, str, str, str, str]  # kind of the role, group or URL, resource, name, verb


def _rights(one: Mapping[str, Any]) -> Iterator[Right]:
    """A role's rules, one verb on one thing at a time; an aggregated one gets whatever others add to it."""
    kind = str(one.get("kind"))
    if kind not in ROLES:
        return
    if one.get("aggregationRule"):
        yield kind, "*", "*", "*", "*"
    for rule in one.get("rules") or []:
        verbs = rule.get("verbs") or []
        for group, resource, name, verb in product(
            rule.get("apiGroups") or [],
            rule.get("resources") or [],
            rule.get("resourceNames") or ["*"],
            verbs,
        ):
            yield kind, group, resource, name, verb
        for url, verb in product(rule.get("nonResourceURLs") or [], verbs):
            yield kind, url, "", "*", verb


def _covers(had: Right, wanted: Right) -> bool:
    """A cluster role's rule covers a role's, and a star covers everything."""
    kinds = had[0] == wanted[0] or had[0] == "ClusterRole"
    return kinds and all(one in ("*", other) for one, other in zip(had[1:], wanted[1:], strict=True))


def _told(right: Right) -> str:
    kind, group, resource, name, verb = right
    what = f"{resource}{f'.{group}' if group else ''}" if resource else group
    return f"a {kind} may {verb} {what}{'' if name == '*' else f' {name}'}"
