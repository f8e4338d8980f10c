"""The disk's figures for Prometheus, in the text format that node_exporter's textfile collector reads. Pure, standard library
only: it travels to the node.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HELP = {
    "binderbox_disk_size_bytes": "Size of a file system that something of the member lies on.",
    "binderbox_disk_free_bytes": "What is free there.",
    "binderbox_disk_floor_bytes": "What must be free, by what gives way below it.",
    "binderbox_disk_part_used_bytes": "What a part of the member takes, measured once an hour.",
    "binderbox_disk_part_ceiling_bytes": "The ceiling that the plan gives it.",
    "binderbox_disk_launches_refused": "1 while launches are refused because the disk is short.",
    "binderbox_registry_asked": "Images that BinderHub asked for in the last week, by whether they were there.",
    "binderbox_builds": "Builds of the last day, by how they ended.",
    "binderbox_build_seconds": "Seconds of the good ones of them.",
    "binderbox_pushes_waiting": "Built images that are not in the registry yet.",
}


def render(found: Mapping[str, Any]) -> str:
    """+ found: what jobs/disk.py keeps"""
    rows: dict[str, list[tuple[str, float]]] = {name: [] for name in HELP}
    for disk in found["file_systems"]:
        where = f'path="{_escaped(disk["path"])}"'
        rows["binderbox_disk_size_bytes"].append((where, disk["size_bytes"]))
        rows["binderbox_disk_free_bytes"].append((where, disk["free_bytes"]))
        rows["binderbox_disk_floor_bytes"] += [
            (f'{where},what="{what}"', floor) for what, floor in disk["floors"].items()
        ]
    for part in found.get("parts", ()):
        which = f'part="{_escaped(part["name"])}"'
        rows["binderbox_disk_part_used_bytes"].append((which, part["used_bytes"]))
        if part["ceiling_gb"] is not None:
            rows["binderbox_disk_part_ceiling_bytes"].append((which, part["ceiling_gb"] * 1e9))
    rows["binderbox_disk_launches_refused"].append(("", float(bool(found["refused"]))))
    if asked := found.get("asked"):
        rows["binderbox_registry_asked"] += [
            ('there="yes"', asked["hits"]), ('there="no"', asked["misses"])
        ]  # fmt: skip
    if builds := found.get("builds"):
        rows["binderbox_builds"] += [('ended="good"', builds["good"]), ('ended="failed"', builds["failed"])]
        if builds["median_s"] is not None:
            rows["binderbox_build_seconds"] += [
                ('quantile="0.5"', builds["median_s"]), ('quantile="0.9"', builds["slowest_tenth_s"])
            ]  # fmt: skip
    if spool := found.get("spool"):
        rows["binderbox_pushes_waiting"].append(("", spool["waiting"]))
    lines = []
    for name, samples in rows.items():
        if samples:
            lines += [f"# HELP {name} {HELP[name]}", f"# TYPE {name} gauge"]
            lines += [
                f"{name}{{{labels}}} {value}" if labels else f"{name} {value}" for labels, value in samples
            ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
