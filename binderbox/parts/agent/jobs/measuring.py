"""Who uses what of the disk, by du: our parts, and the others where they fill it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from pwd import getpwuid
from typing import Any

from binderbox import layout
from binderbox.parts.agent.jobs import containerd, files, working
from binderbox.parts.agent.jobs.config import AgentConfig
from binderbox.parts.agent.jobs.filesystems import mount_of, same_disk, sized
from binderbox.parts.agent.jobs.memory import Memory
from binderbox.parts.agent.jobs.running import CommandFailed, run
from binderbox.parts.disk import usage
from binderbox.parts.disk.watermarks import GB, FileSystem

PARTS_S = 900
OTHERS_S, OTHERS_DEPTH = 180, 4
OTHERS_GREW = 0.05  # of the file system: then it is said whose files they are


def parts(config: AgentConfig, now: float) -> dict[str, Any]:
    """Who uses what, how it grows, and how builds and launches went; the history goes to a file of its own."""
    places = usage.places(config.data_dir)
    paths = dict.fromkeys(path for part in places.values() for path in part)
    sizes = usage.parse_du(_du(["-sxB1", *filter(os.path.exists, paths)], PARTS_S))
    cache = 0
    with suppress(CommandFailed):  # BuildKit is being restarted
        cache = containerd.own_bytes(containerd.cache_records())
    used = usage.by_part(sizes, config.data_dir, cache)
    for disk in config.file_systems:
        free, size = sized(disk.path)
        used[disk.path] = size - free
    earlier = files.kept(layout.DISK_HISTORY).get("looks", [])
    history = [*earlier, {"at": now, "used": used}][-usage.KEPT :]
    files.write(layout.DISK_HISTORY, json.dumps({"looks": history}))
    with closing(Memory(Path(layout.RETENTION_MEMORY))) as memory:
        hits, misses = memory.asks(now)
    return {
        "parts": [
            {
                "name": part,
                "path": paths[0],
                "used_bytes": used[part],
                "ceiling_gb": config.ceilings_gb.get(part),
                "growth_a_day": usage.growth(history, part, now),
            }
            for part, paths in places.items()
        ],
        "other_bytes": {
            disk.name: used[disk.path] - _ours(disk.path, config.data_dir, sizes)
            for disk in config.file_systems
        },
        "growth_a_day": {disk.path: usage.growth(history, disk.path, now) for disk in config.file_systems},
        "asked": {"hits": hits, "misses": misses},
        "builds": working.builds(),
        "spool": working.spool(),
    }


def short(config: AgentConfig, free: Mapping[str, int]) -> list[FileSystem]:
    """The file systems on which something has to give way."""
    return [
        disk
        for disk in config.file_systems
        if any(disk.missing(what, free[disk.name]) for what in disk.floors_gb)
    ]


def others(config: AgentConfig, disks: Iterable[FileSystem], now: float) -> list[dict[str, Any]]:
    """The largest directories that are not ours, and whose they are, of file systems that run short by others' growth."""
    ours = [path for part in usage.places(config.data_dir).values() for path in part]
    found: list[dict[str, Any]] = []
    for disk in disks:
        top = mount_of(disk.path)
        try:
            sizes = usage.parse_du(_du(["-xB1", f"--max-depth={OTHERS_DEPTH}", top], OTHERS_S))
        except CommandFailed:
            continue
        if usage.others(sizes, top, ours) > disk.other_gb * GB + OTHERS_GREW * sized(disk.path)[1]:
            found += [
                {"at": now, "path": path, "size_bytes": size, "owner": _owner(path)}
                for path, size in usage.largest(sizes, top, ours)
            ]
    return found


def _ours(path: str, data_dir: str, sizes: Mapping[str, int]) -> int:
    """Bytes below the data's directory and k3s's that lie on the file system of `path`, as an install counts them."""
    return sum(
        size for one, size in sizes.items() if usage.planned_for(one, data_dir) and same_disk(one, path)
    )


def _du(words: list[str], timeout_s: float) -> str:
    """After all others; what goes while it looks is no failure."""
    return run(["sh", "-c", 'nice -n 19 du "$@" 2>/dev/null || true', "du", *words], timeout_s=timeout_s)


def _owner(path: str) -> str:
    try:
        number = os.stat(path).st_uid
    except OSError:
        return "nobody any more"
    try:
        return getpwuid(number).pw_name
    except KeyError:
        return str(number)
