"""What several categories ask in the same way: whether deployments are ready, units active, files private."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from binderbox.checks.core import Verdict, failed, passed
from binderbox.checks.probe import FileInfo, Planned, Probe, Skip, UnitState

AGAIN = "run `binderbox install HOST` again"


def planned(probe: Probe) -> Planned:
    if probe.plan is None:
        raise Skip("there is no plan to compare with")
    return probe.plan


def hours_since(probe: Probe, at: str) -> float:
    """Since a time as the node's jobs write it (2026-01-01T00:00:00Z), by the node's own clock."""
    written = datetime.strptime(at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    return (time.time() + (probe.facts.clock_offset_s or 0.0) - written) / 3600


def look_unit(name: str) -> Callable[[Probe], UnitState]:
    def look(probe: Probe) -> UnitState:
        return probe.unit(name)

    return look


def look_told(status_file: str, who: str) -> Callable[[Probe], tuple[Mapping[str, str], ...]]:
    """What a program of the node did in the last day to protect it; `who` is that program in a sentence."""

    def look(probe: Probe) -> tuple[Mapping[str, str], ...]:
        told = probe.told_in(status_file)
        if told is None:
            raise Skip(f"{who} does not run")
        return told

    return look


def judge_unit(unit: UnitState) -> Verdict:
    if unit.active == "active":
        return passed(f"{unit.name} is {unit.sub or 'active'}")
    told = f"{unit.name} is {unit.active}" if unit.load != "not-found" else f"{unit.name} does not exist"
    if unit.result not in ("", "success"):
        told += f" ({unit.result})"
    told = "\n".join([told, *unit.log])
    return failed(told, "active", f"journalctl -u {unit.name} on the host, then {AGAIN}")


@dataclass(frozen=True)
class Ready:
    """Deployments by name, each with its ready and wanted replicas; None for one that does not exist."""

    namespace: str
    replicas: Mapping[str, tuple[int, int] | None]


def look_deployments(namespace: str, *names: str, others: bool = False) -> Callable[[Probe], Ready]:
    """Deployments that must be there; with `others`, whatever else the namespace holds must be ready as well."""

    def look(probe: Probe) -> Ready:
        items = probe.kubectl_json(["get", "deployments", "-n", namespace])["items"]
        more = [item["metadata"]["name"] for item in items] if others else []
        return make_ready(namespace, tuple(dict.fromkeys((*names, *more))), items)

    return look


def make_ready(namespace: str, names: Sequence[str], items: Sequence[Mapping[str, Any]]) -> Ready:
    found: dict[str, tuple[int, int] | None] = dict.fromkeys(names)
    for item in items:
        name = item["metadata"]["name"]
        if name in found:
            status = item.get("status", {})
            current = status.get("observedGeneration", 0) >= item["metadata"].get("generation", 0)
            ready = min(status.get("readyReplicas", 0), status.get("updatedReplicas", 0)) if current else 0
            found[name] = (ready, item["spec"].get("replicas", 1))
    return Ready(namespace, found)


def judge_ready(found: Ready) -> Verdict:
    bad = [
        f"{name} does not exist" if state is None else f"{name} has {state[0]} of {state[1]} ready"
        for name, state in found.replicas.items()
        if state is None or state[0] < max(1, state[1])
    ]
    if not bad:
        return passed(", ".join(found.replicas))
    return failed(
        "; ".join(bad),
        "every replica ready",
        f"kubectl -n {found.namespace} describe pods on the host; then {AGAIN}",
    )


def look_files(*paths: str) -> Callable[[Probe], Mapping[str, FileInfo | None]]:
    def look(probe: Probe) -> Mapping[str, FileInfo | None]:
        return probe.files(paths)

    return look


def judge_private(files: Mapping[str, FileInfo | None]) -> Verdict:
    """Each path exists, belongs to root, and nobody else may do anything with it."""
    bad = []
    for path, info in files.items():
        if info is None:
            bad.append(f"{path} does not exist")
        elif info.owner != "root" or info.mode & 0o077:
            bad.append(f"{path} belongs to {info.owner}, mode {info.mode:04o}")
    if not bad:
        return passed(f"{len(files)} paths are root's alone")
    return failed(
        "; ".join(bad), "root's alone (0600, directories 0700)", f"see who changed it, then {AGAIN}"
    )


def judge_present(files: Mapping[str, FileInfo | None]) -> Verdict:
    missing = [path for path, info in files.items() if info is None]
    if not missing:
        return passed(", ".join(files))
    return failed(f"missing: {', '.join(missing)}", "these paths", AGAIN)
