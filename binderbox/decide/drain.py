"""A drained member as the node records it: why, by whom, since when, and whether launches are refused as well. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace

UNREADABLE = "unknown: the node's record cannot be read"
REASON_MOST = 500  # characters; it stands in every answer of /health


@dataclass(frozen=True)
class Drain:
    """That a member is drained: why, by whom, since when (ISO 8601, UTC), and whether launches are refused as well.

    `key` lets binderbox's own launches in while it is closed; it is never shown. `by_node`: the node itself has set it, and
    takes it back by itself.
    """

    reason: str
    who: str = ""
    since: str = ""
    closed: bool = False
    key: str = field(default="", repr=False)
    by_node: bool = False


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
    texts = {name: str(value) for name, value in known.items() if name not in ("closed", "by_node")}
    drain = Drain(
        **{"reason": UNREADABLE, **texts},
        closed=known.get("closed") is True,
        by_node=known.get("by_node") is True,
    )
    return drain if drain.key else replace(drain, closed=False)  # closed without a key would shut us out, too


def reason_faults(reason: str) -> tuple[str, ...]:
    """What is wrong with a reason that somebody gave, if anything."""
    faults = []
    if len(reason) > REASON_MOST:
        faults.append(f"it has {len(reason)} characters, at most {REASON_MOST} are shown")
    if any(not (character.isprintable() or character == " ") for character in reason):
        faults.append("it holds characters that cannot be printed")
    return tuple(faults)
