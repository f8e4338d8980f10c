"""A drained member: what the node records of it, what its ingress then answers, who is still on it, and who may not drain.

While it is drained /health answers 503, so the redirector takes the member out at its next check (mybinder.org-deploy
95860dbc images/federation-redirect/app.py: anything but 200 is a failure, tried five times 1 s apart). Once nobody is left
on it `--wait` also closes it: launches are refused in the words that BinderHub has for a quota that is used up. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from binderbox.decide import profile

KEY_HEADER = "X-Binderbox-Key"
UNREADABLE = "unknown: the node's record cannot be read"
REASON_MOST = 500  # characters; it stands in every answer of /health

OVER = ("Succeeded", "Failed")
KINDS = {"singleuser-server": "sessions", "binderhub-build": "builds"}

REFUSED = (
    "This member of the federation is being taken out of service. Please launch again from mybinder.org.\n"
)


@dataclass(frozen=True)
class Drain:
    """That a member is drained: why, by whom, since when (ISO 8601, UTC), and whether launches are refused as well.

    `key` lets binderbox's own launches in while it is closed; it is never shown.
    """

    reason: str
    who: str = ""
    since: str = ""
    closed: bool = False
    key: str = field(default="", repr=False)


def render_record(drain: Drain) -> str:
    """What the node keeps of it; `parse_record` reads it."""
    return json.dumps(asdict(drain), indent=1) + "\n"


def parse_record(text: str) -> Drain:
    """Read the node's record. A file that cannot be read, as after a power cut, still means drained."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return Drain(UNREADABLE)
    known = {one.name: found[one.name] for one in fields(Drain) if one.name in found}
    texts = {name: str(value) for name, value in known.items() if name != "closed"}
    drain = Drain(**{"reason": UNREADABLE, **texts}, closed=known.get("closed") is True)
    return drain if drain.key else replace(drain, closed=False)  # closed without a key would shut us out, too


def reason_faults(reason: str) -> tuple[str, ...]:
    """What is wrong with a reason that somebody gave, if anything."""
    faults = []
    if len(reason) > REASON_MOST:
        faults.append(f"it has {len(reason)} characters, at most {REASON_MOST} are shown")
    if any(not (character.isprintable() or character == " ") for character in reason):
        faults.append("it holds characters that cannot be printed")
    return tuple(faults)


def render_routes(drain: Drain, domain: str) -> str:
    """The routes, for traefik's file provider, by which the ingress of the binder host `domain` answers as drained.

    JSON, which is YAML. traefik runs such a file through Go's templates first, and one that it cannot read takes every
    route away at the next start; so no two opening braces ever stand together, and all text is ASCII.
    """
    health = {"ok": False, "drained": {"reason": drain.reason, "since": drain.since}}
    parts = {"drained": _answer(f"Host(`{domain}`) && Path(`/health`)", 503, "application/json", health)}
    if drain.closed:
        rule = f"Host(`{domain}`) && PathPrefix(`/build/`) && !Header(`{KEY_HEADER}`, `{drain.key}`)"
        failed = {"phase": "failed", "message": REFUSED}
        parts["closed"] = _answer(rule, 200, "text/event-stream", failed)
    routes = {
        "routers": {name: {**router, "middlewares": [name]} for name, (router, _) in parts.items()},
        "middlewares": {name: {"plugin": {"answer": answer}} for name, (_, answer) in parts.items()},
    }
    return json.dumps({"http": routes}).replace("{{", "{\\u007b") + "\n"


def _answer(
    rule: str, status: int, content_type: str, body: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(router, middleware): the answer, with the headers that BinderHub's own has, so that browsers may read it."""
    text = json.dumps(body)
    headers = {
        "Content-Type": content_type,
        "Cache-Control": "no-cache",
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Headers": "cache-control",
    }
    streamed = content_type == "text/event-stream"
    router = {"entryPoints": ["websecure"], "rule": rule, "priority": 100, "service": "noop@internal"}
    return router, {"status": status, "headers": headers, "body": f"data: {text}\n\n" if streamed else text}


@dataclass(frozen=True)
class InFlight:
    """Who is on the member: sessions, builds, and the latest time at which the last session ends (ISO 8601, UTC)."""

    sessions: int
    builds: int
    ends_by: str | None = None

    @property
    def none(self) -> bool:
        return not self.sessions and not self.builds


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


def is_prime(active_hosts: Any, binder_url: str) -> bool:
    """Whether the redirector that gave this answer of /active_hosts has the member as a prime.

    Raises ValueError for an answer that is none. A member that is out of rotation is not in it.
    """
    hosts = active_hosts.get("active_hosts") if isinstance(active_hosts, dict) else None
    if not isinstance(hosts, dict) or not all(isinstance(one, dict) for one in hosts.values()):
        raise ValueError("it holds no mapping `active_hosts` of members")
    ours = _place(binder_url)
    return any(one.get("prime") is True and _place(str(one.get("url", ""))) == ours for one in hosts.values())


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return (parts.hostname or "").rstrip("."), parts.port or (80 if parts.scheme == "http" else 443)


@dataclass(frozen=True)
class DrainResult:
    """How `drain` or `resume` ended. `status` is what /health answers now; `left` who is on the member still."""

    host: str
    drained: bool
    changed: bool
    status: int
    left: InFlight
    drain: Drain | None


def result_fields(result: DrainResult) -> dict[str, Any]:
    """The result as plain data, without the key."""
    drain = None if result.drain is None else public(result.drain)
    fields_ = {"host": result.host, "drained": result.drained, "changed": result.changed}
    return {**fields_, "health": result.status, **asdict(result.left), "drain": drain}


def public(drain: Drain) -> dict[str, Any]:
    """What anybody may know of it."""
    return {"reason": drain.reason, "who": drain.who, "since": drain.since, "closed": drain.closed}
