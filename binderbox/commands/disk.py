"""What `disk` does: read what the node's own job has measured, and reckon how long each part lasts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from binderbox import layout
from binderbox.commands.connect import opened
from binderbox.errors import UsageError
from binderbox.output.requests import Connection
from binderbox.output.results import DiskFileSystem, DiskPart, DiskResult
from binderbox.parts.disk.usage import days_left
from binderbox.parts.disk.watermarks import GB, LAUNCHES
from binderbox.world import jobs


def disk_of(connection: Connection) -> DiskResult:
    """Raises UsageError where the node has not looked yet."""
    with opened(connection) as host:
        found = jobs.kept(host, layout.DISK_STATE).get(layout.DISK_STATE)
        if found is None or "parts" not in found:
            raise UsageError(
                f"{host.name}: the node has not measured its disk yet",
                cause="it does so a minute after an install, and then once an hour",
                remedy=f"binderbox disk {host.name}",
            )
        return make_result(host.name, found)


def make_result(host: str, found: Mapping[str, Any]) -> DiskResult:
    """+ found: what jobs/disk.py keeps"""
    asked, builds = found["asked"], found["builds"]
    questions = asked["hits"] + asked["misses"]
    return DiskResult(
        host=host,
        at=datetime.fromtimestamp(found["measured"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        file_systems=tuple(
            _file_system(one, found["growth_a_day"].get(one["path"])) for one in found["file_systems"]
        ),
        parts=tuple(map(_part, found["parts"])),
        refused=tuple(found["refused"]),
        did=tuple(found["did"]),
        others=tuple(
            f"{one['path']}: {one['size_bytes'] / GB:.1f} GB, of {one['owner']}" for one in found["others"]
        ),
        hit_rate=round(asked["hits"] / questions, 3) if questions else None,
        launches=questions,
        builds=builds["good"],
        builds_failed=builds["failed"],
        build_median_s=builds["median_s"],
        build_slowest_tenth_s=builds["slowest_tenth_s"],
        pushes_waiting=found["spool"]["waiting"],
    )


def _file_system(one: Mapping[str, Any], growth_a_day: float | None) -> DiskFileSystem:
    used = one["size_bytes"] - one["free_bytes"]
    most = one["size_bytes"] - one["floors"][LAUNCHES]
    return DiskFileSystem(
        one["path"],
        _gb(one["size_bytes"]),
        _gb(one["free_bytes"]),
        {what: _gb(floor) for what, floor in one["floors"].items()},
        _gb(growth_a_day),
        days_left(used, most, growth_a_day),
    )


def _part(one: Mapping[str, Any]) -> DiskPart:
    ceiling = one["ceiling_gb"]
    left = days_left(one["used_bytes"], None if ceiling is None else ceiling * GB, one["growth_a_day"])
    return DiskPart(
        one["name"], one["path"], _gb(one["used_bytes"]) or 0.0, ceiling, _gb(one["growth_a_day"]), left
    )


def _gb(size_bytes: Any) -> Any:
    return None if size_bytes is None else round(size_bytes / GB, 2)
