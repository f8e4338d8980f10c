"""Kubernetes, asked on the node through the shell that is open already.

kubectl on the node costs one round trip, needs no forward, and no credential of the cluster leaves the host.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from binderbox import layout
from binderbox.errors import StepFailed
from binderbox.patience import patient
from binderbox.world.host.hosts import Host

ASK_S = patient(15)
KUBECTL = (layout.K3S, "kubectl", f"--request-timeout={ASK_S:.0f}s")
CURL = (*layout.API_CURL, "--fail-early", "--max-time", f"{ASK_S:.0f}")


def kubectl(host: Host, *args: str, stdin: bytes | None = None, timeout_s: float = 60) -> str:
    """What kubectl printed; raises StepFailed with its stderr."""
    output = host.run([*KUBECTL, *args], stdin=stdin, timeout_s=timeout_s)
    if output.code:
        raise StepFailed(
            f"{host.name}: kubectl {' '.join(args)} failed",
            cause=output.stderr.decode(errors="replace").strip(),
            remedy=f"look at it with: binderbox status {host.name}",
        )
    return output.stdout.decode(errors="replace")


def kubectl_json(host: Host, *args: str, timeout_s: float = 60) -> Any:
    """The object or list that kubectl answered."""
    return json.loads(kubectl(host, *args, "-o", "json", timeout_s=timeout_s))


def raw(host: Host, *paths: str) -> list[Any]:
    """What the API server answers at each path, e.g. `/api/v1/pods`, in order; raises StepFailed when one fails."""
    output = host.run([*CURL, *(f"{layout.API}{path}" for path in paths)], timeout_s=ASK_S + 5)
    try:
        if output.code:
            raise ValueError(output.stderr.decode(errors="replace").strip())
        return list(_documents(output.stdout.decode(errors="replace")))
    except ValueError as error:
        raise StepFailed(
            f"{host.name}: the API server did not answer",
            cause=str(error),
            remedy=f"look at it with: binderbox status {host.name}",
        ) from error


def _documents(text: str) -> Iterator[Any]:
    """JSON documents that stand one after another."""
    decoder, at = json.JSONDecoder(), 0
    while rest := text[at:].lstrip():
        found, length = decoder.raw_decode(rest)
        yield found
        at = len(text) - len(rest) + length


def pods_of_image(host: Host, image: str) -> list[Mapping[str, Any]]:
    """The user pods that run `image`, newest first."""
    pods = kubectl_json(host, "get", "pods", "-n", layout.HUB_NAMESPACE, "-l", "component=singleuser-server")
    running = [
        pod for pod in pods["items"] if any(one["image"] == image for one in pod["spec"]["containers"])
    ]
    return sorted(running, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True)


def events_of(host: Host, namespace: str, kind: str, name: str) -> list[str]:
    """An object's events, oldest first, as "Reason: message"."""
    selector = f"involvedObject.kind={kind},involvedObject.name={name}"
    events = kubectl_json(host, "get", "events", "-n", namespace, "--field-selector", selector)["items"]
    events.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return [f"{event['reason']}: {event['message']}" for event in events]


def pod_log(host: Host, namespace: str, selector: str, lines: int) -> tuple[str, ...]:
    """The last log lines of the pods that match; empty where there are none."""
    args: Sequence[str] = ("logs", "-n", namespace, "-l", selector, "--all-containers", f"--tail={lines}")
    return tuple(kubectl(host, *args).splitlines())


def kubectl_or_nothing(host: Host, *args: str) -> list[str]:
    """What kubectl printed, by lines; nothing where it failed, for looking at what is broken anyway."""
    return host.run([*KUBECTL, *args], timeout_s=60).stdout.decode(errors="replace").splitlines()


def service_address(host: Host, namespace: str, name: str) -> str:
    """The ClusterIP of a service, which the node itself can reach."""
    return str(kubectl_json(host, "get", "service", "-n", namespace, name)["spec"]["clusterIP"])
