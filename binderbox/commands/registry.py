"""What `registry status` and `registry prune` do: ask the node's own retention, or let it run now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from binderbox import layout
from binderbox.commands.connect import opened
from binderbox.errors import StepFailed, UsageError
from binderbox.output.progress import Progress
from binderbox.output.requests import Confirm, Connection
from binderbox.parts.agent.units import RETENTION
from binderbox.world.host.hosts import Host

RUN_S = 4 * 3600
TRIES = 3
FIELDS = {
    "dry": False,
    "keep_days": 0.0,
    "max_bytes": 0,
    "images": 0,
    "size_bytes": 0,
    "forgotten": 0,
    "freed_bytes": 0,
    "why_forgotten": [],
    "seconds": 0.0,
    "swept": "",
    "why": "",
}


@dataclass(frozen=True)
class PruneRequest:
    """`days`: another age than the config's; `dry_run`: only say what would go."""

    connection: Connection
    days: int | None = None
    dry_run: bool = False


def status_of(connection: Connection) -> dict[str, Any]:
    """What the node's last sweep found and took; raises UsageError where there was none yet."""
    with opened(connection) as host:
        return _answer(host)


def prune(request: PruneRequest, progress: Progress, confirm: Confirm) -> dict[str, Any]:
    """Have the node say what would go, ask, and have it go; raises StepFailed, UsageError."""
    days = {} if request.days is None else {"keep_days": request.days}
    with opened(request.connection) as host:
        progress.note("the node reads what its registry holds")
        answer = _run(host, {"dry": True, **days})
        if request.dry_run or answer["why"] or not (answer["forgotten"] or answer["freed_bytes"]):
            return answer
        asked = f"{host.name}: forget {answer['forgotten']} images, {_gb(answer['freed_bytes'])}? There is no undo."
        if not confirm(asked):
            raise UsageError(
                f"{host.name}: not confirmed, nothing was deleted", remedy="say --yes to go on without asking"
            )
        progress.note("the node sweeps its registry; pushes wait meanwhile")
        return _run(host, days)


def render(answer: Mapping[str, Any]) -> str:
    """One screen; the sentence that counts is the last."""
    ceiling = f" of {_gb(answer['max_bytes'])}" if answer["max_bytes"] else ""
    lines = [f"  {one}" for one in answer["why_forgotten"]]
    if answer["why"]:
        return "\n".join([*lines, f"{answer['host']}: the registry could not be swept: {answer['why']}"])
    would = "would forget" if answer["dry"] else "forgot"
    holds = f"{answer['images']} images, {_gb(answer['size_bytes'])}{ceiling}"
    took = f"{would} {answer['forgotten']}, {_gb(answer['freed_bytes'])}, of images not launched for {answer['keep_days']:g} days"
    when = f"; the last sweep was at {answer['swept']}" if answer["swept"] else ""
    return "\n".join([*lines, f"{answer['host']}: {holds}; {took}{when}"])


def _run(host: Host, asked: Mapping[str, Any]) -> dict[str, Any]:
    host.write(layout.RETENTION_NOW, f"{json.dumps(asked)}\n".encode(), 0o600)
    # A run that its timer began just before knows nothing of it, and is what is waited for first.
    for _ in range(TRIES):
        done = host.run(["systemctl", "start", RETENTION.service], timeout_s=RUN_S)
        if not done.code and host.read(layout.RETENTION_NOW) is None:
            return _answer(host, dry=bool(asked.get("dry")))
        if done.code:
            break
    words = ["journalctl", "-u", RETENTION.service, "-n", "15", "-o", "cat", "--no-pager"]
    raise StepFailed(
        f"{host.name}: the registry's retention did not end well",
        cause=host.run(words, timeout_s=30).text.strip(),
        remedy=f"mend the cause, then: binderbox registry prune {host.name}",
    )


def _answer(host: Host, dry: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.read(layout.RETENTION_STATE) or b"{}")
    if dry:
        found |= found.get("dry_run", {})
    if "images" not in found and not found.get("why"):
        raise UsageError(
            f"{host.name}: its registry was not swept yet",
            cause="the node does so once a day, first ten minutes after an install",
            remedy=f"binderbox registry prune {host.name} --dry-run",
        )
    return {"host": host.name, **{key: found.get(key, empty) for key, empty in FIELDS.items()}}


def _gb(size_bytes: float) -> str:
    return f"{size_bytes / 1e9:.1f} GB"
