"""Who is on a member: sessions and builds, counted from BinderHub's pods, and when the last of them must have ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from binderbox.decide import profile
from binderbox.output.results import InFlight

OVER = ("Succeeded", "Failed")
KINDS = {"singleuser-server": "sessions", "binderhub-build": "builds"}


def make_in_flight(pods: Iterable[Mapping[str, Any]]) -> InFlight:
    """Count BinderHub's pods, and say when the culler will have ended the last session.

    The hub's culler looks every `cull.every` seconds and ends what is older than `cull.maxAge`, idle or not; a build
    may run for an hour and become a session then. All three from profile.py.
    """
    lives_s = _lives_s()
    counts = dict.fromkeys(lives_s, 0)
    ends = []
    for pod in pods:
        kind = KINDS.get(pod["metadata"].get("labels", {}).get("component", ""))
        if kind is None or pod.get("status", {}).get("phase") in OVER:
            continue
        counts[kind] += 1
        made = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
        ends.append(made + timedelta(seconds=lives_s[kind]))
    return InFlight(**counts, ends_by=max(ends).isoformat(timespec="seconds") if ends else None)


def longest_s() -> float:
    """Seconds after which nobody who was there at the start can still be there."""
    return float(_lives_s()["builds"])


def _lives_s() -> dict[str, int]:
    """The longest that each kind can be on the member; a build can still become a session."""
    settings = profile.settings("binderhub")
    session = settings["jupyterhub"]["cull"]["maxAge"] + settings["jupyterhub"]["cull"]["every"]
    return {"sessions": session, "builds": settings["config"]["KubernetesCleaner"]["max_age"] + session}
