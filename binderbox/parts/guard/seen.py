"""What the node's look at cryptnono found, and what of it is wrong. Pure, standard library only: it travels to the node."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

# Of prometheus' text: what each detector has looked at since its start.
LOOKED_AT = {
    "execwhacker": re.compile(
        r'^cryptnono_execwhacker_processes_checked_total\{source="execwhacker\.bpf"\} (\S+)', re.M
    ),
    "flowkiller": re.compile(r"^cryptnono_flowkiller_connects_checked_total (\S+)", re.M),
}
KILLED_WITHIN_S = 1.0


def looked_at(detector: str, metrics: str) -> float | None:
    """How many processes or connections a detector has seen, None where its metrics do not say."""
    found = LOOKED_AT[detector].search(metrics) if detector in LOOKED_AT else None
    return float(found[1]) if found else None


def not_attached(state: Mapping[str, Any]) -> list[str]:
    """What keeps detectors from watching, a sentence each; `state` is guard.json of jobs/guard.py."""
    if state["why"]:
        return [str(state["why"])]
    faults = [] if state["headers"] else [f"the headers of kernel {state['kernel']} are not installed"]
    return faults + _detached(state, lambda one: not one.get("starting"))


def unproved(state: Mapping[str, Any]) -> list[str]:
    """What keeps a look from proving the release: one that may still compile proves nothing, and no canary may live."""
    return _detached(state, lambda one: True) + not_killing(state)


def _detached(state: Mapping[str, Any], counts: Callable[[Mapping[str, Any]], bool]) -> list[str]:
    return [
        f"{name}: {one['why']}"
        for name, one in sorted(state["detectors"].items())
        if not one["attached"] and counts(one)
    ]


def not_killing(state: Mapping[str, Any]) -> list[str]:
    """Which detectors let a canary live that they were to end, a sentence each."""
    return [
        f"{name}: its canary {'lived' if one['killed_s'] is None else 'was killed after {:.1f} s'.format(one['killed_s'])}"
        for name, one in sorted(state["detectors"].items())
        if "killed_s" in one and (one["killed_s"] is None or one["killed_s"] > KILLED_WITHIN_S)
    ]


def kills(state: Mapping[str, Any] | None) -> bool:
    """Whether a process with a banned name must die on this node now."""
    return state is not None and bool(state["attaches"]) and not (not_attached(state) or starting(state))


def faults(state: Mapping[str, Any]) -> list[str]:
    """All that is wrong of detectors and bans, a sentence each; a kill of the host's is a check's to judge."""
    return [*not_attached(state), *not_killing(state), *state["bans"]["faults"]]


def starting(state: Mapping[str, Any]) -> list[str]:
    """Detectors that may still compile."""
    return [
        name
        for name, one in sorted(state["detectors"].items())
        if not one["attached"] and one.get("starting")
    ]


def tried(state: Mapping[str, Any]) -> bool:
    """Whether any canary has been started since the detectors were attached."""
    return any("killed_s" in one for one in state["detectors"].values())


def merged(
    told: Iterable[Mapping[str, Any]], fresh: Iterable[Mapping[str, Any]], *, since: str, at_most: int
) -> list[dict[str, Any]]:
    """Both, oldest first: each once, none from before `since` (an ISO time, as `at` is one), and the last so many."""
    both = {(one["at"], one["pid"], one["detector"]): dict(one) for one in (*told, *fresh)}
    return [both[key] for key in sorted(both) if key[0] >= since][-at_most:]
