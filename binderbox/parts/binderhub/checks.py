"""BinderHub: that it is well, says the federation's version, and builds through the door without any credential."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from binderbox import layout
from binderbox.checks.core import Check, Verdict, failed, passed
from binderbox.checks.probe import Answer, Probe
from binderbox.checks.workloads import AGAIN, judge_ready, look_deployments
from binderbox.parts.binderhub.pod_rules import PATHS_FOR_BUILDS
from binderbox.parts.builder.build_class import BROKEN, PROOF

LOGS = f"kubectl -n {layout.HUB_NAMESPACE} logs deployment/binder on the host"
BUILD_PODS = "component=binderhub-build"
BINDER = "component=binder"
LOG_LINES = 5000  # the proof is among the first lines; each restart writes it again
WATCHED = ("hub", "binder", "proxy", "ingress", "registry", "objectstore")


def look_health(probe: Probe) -> Answer:
    """As the redirector asks it; behind the ingress while that answers for BinderHub."""
    return probe.binder("/health") if probe.facts.drain else probe.http(f"{probe.member.binder_url}/health")


def judge_health(answer: Answer) -> Verdict:
    """503 when a check that counts fails; the quota never counts."""
    body = _json(answer)
    if answer.status == 200 and body.get("ok") is True:
        return passed(", ".join(str(check.get("service")) for check in body.get("checks", [])) or "ok")
    sick = [str(check.get("service")) for check in body.get("checks", []) if not check.get("ok")]
    told = f"{answer.status or answer.error}" + (f": {', '.join(sick)}" if sick else "")
    return failed(told, "200 and ok", LOGS)


@dataclass(frozen=True)
class Versions:
    """What /versions answered, and the pinned image of builds."""

    answer: Answer
    pinned: str


def look_versions(probe: Probe) -> Versions:
    return Versions(
        probe.http(f"{probe.member.binder_url}/versions"), probe.artifacts["repo2docker"].images[0]
    )


def judge_versions(found: Versions) -> Verdict:
    """The redirector compares the whole answer with the prime's: another image means no traffic."""
    told = str(
        _json(found.answer)
        .get("builder_info", {})
        .get("build_image", found.answer.error or found.answer.status)
    )
    if told == found.pinned:
        return passed(told)
    return failed(told, found.pinned, AGAIN)


def look_log(probe: Probe) -> str:
    return "\n".join(probe.pod_log(layout.HUB_NAMESPACE, BINDER, LOG_LINES))


def judge_log(log: str) -> Verdict:
    """A broken extraConfig is silent: BinderHub goes Ready with the default executor, and builds hang."""
    if BROKEN in log:
        after = log[log.index(BROKEN) :].splitlines()
        return failed("\n".join(after[:12]), "a config that loads", "report this bug with the log")
    if PROOF not in log:
        return failed(
            "the log does not say so",
            PROOF,
            f"{LOGS}; kubectl -n {layout.HUB_NAMESPACE} rollout restart deployment/binder",
        )
    return passed(PROOF)


def look_build_pods(probe: Probe) -> Sequence[Mapping[str, Any]]:
    args = ["get", "pods", "-n", layout.HUB_NAMESPACE, "-l", BUILD_PODS]
    pods: Sequence[Mapping[str, Any]] = probe.kubectl_json(args)["items"]
    return pods


def judge_build_pods(pods: Sequence[Mapping[str, Any]]) -> Verdict:
    """A build pod sees the engine, the door and certificates, and holds nothing that opens anything."""
    bad = [f"{pod['metadata']['name']}: {fault}" for pod in pods for fault in _faults(pod["spec"])]
    if not bad:
        return passed(f"{len(pods)} build pods" if pods else "no build runs now")
    return failed("; ".join(bad), f"only {', '.join(PATHS_FOR_BUILDS)}", f"{AGAIN}; see BBX-U04")


def _faults(spec: Mapping[str, Any]) -> list[str]:
    faults = []
    for volume in spec.get("volumes", []):
        path = volume.get("hostPath", {}).get("path")
        if path is not None and path.rstrip("/") not in PATHS_FOR_BUILDS:
            faults.append(f"sees {path} of the host")
        if "secret" in volume:
            faults.append(f"mounts the secret {volume['secret'].get('secretName')}")
        if "projected" in volume and any(
            "serviceAccountToken" in one for one in volume["projected"].get("sources", [])
        ):
            faults.append("holds a token of the cluster")
    for container in (*spec.get("initContainers", []), *spec.get("containers", [])):
        for variable in container.get("env", []):
            name = str(variable.get("name", ""))
            if "secretKeyRef" in variable.get("valueFrom", {}) or "CREDENTIAL" in name or "PASSWORD" in name:
                faults.append(f"has a credential in {name}")
        if container.get("securityContext", {}).get("privileged"):
            faults.append("is privileged")
    return faults


@dataclass(frozen=True)
class Restarts:
    """Containers of the member's own pods that have ended: "pod/container" to how often, and when last (ISO 8601)."""

    now: datetime
    ended: Mapping[str, tuple[int, str, str]]


def look_restarts(probe: Probe) -> Restarts:
    namespaces = (layout.NAMESPACE, layout.HUB_NAMESPACE)
    pods = [pod for name in namespaces for pod in probe.kubectl_json(["get", "pods", "-n", name])["items"]]
    return Restarts(datetime.now(UTC), dict(_ended(pods)))


def _ended(pods: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, tuple[int, str, str]]]:
    for pod in pods:
        labels = pod["metadata"].get("labels", {})
        if not {labels.get("component"), labels.get("app.kubernetes.io/name")} & set(WATCHED):
            continue
        for state in pod["status"].get("containerStatuses", []):
            last = state.get("lastState", {}).get("terminated")
            if last and state["restartCount"]:
                why = f"{last.get('reason', 'ended')}, exit code {last.get('exitCode', '?')}"
                name = f"{pod['metadata']['name']}/{state['name']}"
                yield name, (state["restartCount"], str(last.get("finishedAt", "")), why)


def judge_restarts(found: Restarts) -> Verdict:
    """Kubernetes keeps the last end of a container, and how many there were."""
    recent = {
        name: (count, at, why)
        for name, (count, at, why) in found.ended.items()
        if at and found.now - datetime.fromisoformat(at) < timedelta(days=1)
    }
    if not recent:
        return passed("none")
    told = "; ".join(
        f"{name} {count} times, last at {at} ({why})" for name, (count, at, why) in recent.items()
    )
    logs = f"kubectl -n {layout.HUB_NAMESPACE} logs --previous POD on the host"
    return failed(told, "none: launches under way feel each of them", logs)


def _json(answer: Answer) -> Mapping[str, Any]:
    try:
        body = json.loads(answer.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


CHECKS = (
    Check("BBX-U01", "binderhub", "hub and binder are ready", look_deployments(layout.HUB_NAMESPACE, "hub", "binder", others=True), judge_ready,
          "The upstream chart, unmodified; what else it brings, such as the hub's proxy, must be ready as well."),
    Check("BBX-U02", "binderhub", "BinderHub says that it is well", look_health, judge_health,
          "It asks the registry and the hub. The redirector asks the same before it sends users. Of a drained member it is asked behind the ingress."),
    Check("BBX-U03", "binderhub", "BinderHub builds with the pinned image", look_versions, judge_versions,
          "The redirector sends no users to a member whose versions differ from the prime's."),
    Check("BBX-U04", "binderhub", "builds go through the door", look_log, judge_log,
          "Read in BinderHub's log, because a config that fails to load stops nothing."),
    Check("BBX-U05", "binderhub", "build pods hold no credential", look_build_pods, judge_build_pods,
          "They run as root and read hostile repositories."),
    Check("BBX-U06", "binderhub", "nothing restarted within the last day", look_restarts, judge_restarts,
          "Hub, BinderHub, proxy, ingress and registry. Kubernetes starts them again by itself, so nothing else shows it.", fatal=False),
)  # fmt: skip
