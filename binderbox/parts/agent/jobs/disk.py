"""The disk's job, each minute: what gives way before Kubernetes evicts anybody, and once an hour who uses what.

It acts on what is free now, in one order, and looks again after each step; what it does is told once. Others' files are never
touched: where they fill the disk, ours make room, then launches are refused, and it is said whose they are.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from binderbox import layout
from binderbox.parts.agent.jobs import containerd, files, measuring, refusing, telling
from binderbox.parts.agent.jobs.config import AgentConfig
from binderbox.parts.agent.jobs.filesystems import free_of, sized
from binderbox.parts.agent.jobs.memory import Memory
from binderbox.parts.agent.jobs.running import CommandFailed
from binderbox.parts.agent.jobs.running import run as command
from binderbox.parts.disk import watermarks
from binderbox.parts.disk.metrics import render
from binderbox.parts.disk.watermarks import CACHE, GB, REGISTRY, UNUSED, FileSystem

JOB = "disk"
MEASURE_EVERY_S = 3600
OTHERS_EVERY_S = 1800
LITTLE = 10_000_000  # bytes that come and go
UNUSED_S = 300.0  # of deleting images in one run
REGISTRY_EVERY_S = 1800
TROUBLE = (CommandFailed, OSError, ValueError, KeyError, sqlite3.Error)


def run(config: AgentConfig, now: float | None = None) -> bool:
    """One look, and what follows from it; whether no launch is refused for its sake."""
    now = time.time() if now is None else now
    earlier = files.kept(layout.DISK_STATE)
    found, did = dict(earlier), list[str]()
    for what, act in ((CACHE, _prune_cache), (UNUSED, _remove_unused), (REGISTRY, _ask_registry)):
        if short := watermarks.missing(config.file_systems, free_of(config.file_systems), what):
            with _told(did):
                did += filter(None, [act(config, short, found, now)])
    free = free_of(config.file_systems)
    refused = refusing.launches(config, free)
    if not 0 <= now - found.get("measured", 0) < MEASURE_EVERY_S:
        found["measured"] = now  # also where that fails, or takes too long: it reads the whole disk
        with _told(did):
            found |= measuring.parts(config, now)
    others = _others(config, free, found, now)
    found |= {
        "file_systems": [_shown(disk) for disk in config.file_systems],
        "refused": [disk.path for disk in refused],
        "did": did,
        "others": others,
        "why": _why(refused, others),
    }
    with suppress(OSError):  # where nothing can be written any more, what is refused still is
        if did and did != earlier.get("did"):
            telling.audit(JOB, "made-room", what="; ".join(did))
        if others and not earlier.get("others"):
            telling.audit(JOB, "alert", what=found["why"])
        telling.state(layout.DISK_STATE, found)
        files.write(layout.METRICS_FILE, render(found))
    return not refused


def _others(
    config: AgentConfig, free: dict[str, int], found: dict[str, Any], now: float
) -> list[dict[str, Any]]:
    """Whose files fill the disk, while it is short; looked for once in a while, whether anybody's were found or not."""
    short = measuring.short(config, free)
    if short and not 0 <= now - found.get("others_at", float("-inf")) < OTHERS_EVERY_S:
        found["others_at"] = now
        found["others_found"] = []
        with suppress(*TROUBLE):
            found["others_found"] = measuring.others(config, short, now)
    return found.get("others_found", []) if short else []


@contextmanager
def _told(did: list[str]) -> Iterator[None]:
    """What one step cannot do is said, and the next is tried."""
    try:
        yield
    except TROUBLE as error:
        did.append(f"could not: {str(error)[:300]}")


def _prune_cache(config: AgentConfig, short: int, found: dict[str, Any], now: float) -> str:
    """So much less of it."""
    gone = containerd.prune_cache(short)
    return f"BuildKit's cache gave up {gone / GB:.1f} GB" if gone else ""


def _remove_unused(config: AgentConfig, short: int, found: dict[str, Any], now: float) -> str:
    """Images that no pod names and nobody pins, idle longest first, until it is enough.

    BuildKit's cache holds the layers of what was built lately, so each is followed by a little of that, and all by the rest.
    """
    with closing(Memory(Path(layout.RETENTION_MEMORY))) as memory:
        order = watermarks.idle_first(containerd.unused_images(), memory.used())
    removed, freed, before = 0, 0, free_of(config.file_systems)
    deadline = time.monotonic() + UNUSED_S
    for image in order:
        if freed >= short or time.monotonic() > deadline:
            break
        containerd.remove(image)
        containerd.prune_oldest()
        removed += 1
        freed = _freed(config, before)
    if freed < short:
        containerd.prune_all()
        freed = _freed(config, before)
    if not removed and freed < LITTLE:
        return ""
    return (
        f"{removed} images that nobody used were removed, with the cache of them: {max(0, freed) / GB:.1f} GB"
    )


def _freed(config: AgentConfig, before: dict[str, int]) -> int:
    return max(free - before[name] for name, free in free_of(config.file_systems).items())


def _ask_registry(config: AgentConfig, short: int, found: dict[str, Any], now: float) -> str:
    """Have its retention take so much; that goes on beside, and is told by itself."""
    asked_lately = 0 <= now - found.get("registry_asked", 0) < REGISTRY_EVERY_S
    if asked_lately or files.read(layout.RETENTION_NOW) is not None:
        return ""
    found["registry_asked"] = now
    files.write(layout.RETENTION_NOW, f"{json.dumps({'free_bytes': short})}\n", 0o600)
    command(["systemctl", "start", "--no-block", layout.RETENTION_SERVICE])
    return f"the registry was asked to forget {short / GB:.1f} GB of those idle longest"


def _shown(disk: FileSystem) -> dict[str, Any]:
    floors = {what: round(floor * GB) for what, floor in disk.floors_gb.items()}
    free, size = sized(disk.path)
    return {"name": disk.name, "path": disk.path, "size_bytes": size, "free_bytes": free, "floors": floors}


def _why(refused: tuple[FileSystem, ...], others: list[dict[str, Any]]) -> str:
    said = [f"launches are refused: {refusing.told(refused)}"] if refused else []
    if others:
        whose = (f"{one['path']} ({one['size_bytes'] / GB:.1f} GB, of {one['owner']})" for one in others)
        said.append(f"others fill the disk: {', '.join(whose)}")
    return "; ".join(said)
