"""How the builds' slice and Kubernetes' pods share the processors when all are busy. Pure.

The kernel shares them among neighbours, and these two stand side by side at the root. The kubelet gives its own a weight by
the node's processors, in a way that has changed between its releases; so it is read from the kernel, never computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from binderbox import layout

SHARE = 0.5  # builds to pods: a third of the processors while every session computes, too
# where the kernel says it: cgroup v2, and v1's hierarchy of processors under the names that distributions give it
HIERARCHIES = ("", "cpu/", "cpu,cpuacct/", "cpuacct,cpu/")
PODS = ("kubepods.slice", "kubepods")  # the kubelet's drivers `systemd` and `cgroupfs`
FILES = ("cpu.weight", "cpu.shares")
# systemd gives v1's shares as so many hundredths of its default (cgroup_cpu_weight_to_shares)
SHARES_OF_100, HIGHEST = 1024, 10_000


@dataclass(frozen=True)
class Weights:
    """As the kernel has them, in the same unit; None for what is not there."""

    pods: int | None
    builds: int | None
    unit: str


def _path(hierarchy: str, name: str, file: str) -> str:
    return f"/sys/fs/cgroup/{hierarchy}{name}/{file}"


PODS_PATHS, BUILDS_PATHS = (
    tuple(_path(hierarchy, name, file) for hierarchy in HIERARCHIES for name in names for file in FILES)
    for names in (PODS, (layout.OUR_SLICE,))
)


def read(numbers: Mapping[str, int]) -> Weights:
    """What the files of `PODS_PATHS` and `BUILDS_PATHS` hold, as far as they are there."""
    for hierarchy in HIERARCHIES:
        for file in FILES:
            for name in PODS:
                if (pods := numbers.get(_path(hierarchy, name, file))) is not None:
                    return Weights(pods, numbers.get(_path(hierarchy, layout.OUR_SLICE, file)), file)
    return Weights(None, None, "")


def cpu_weight(found: Weights) -> int | None:
    """systemd's CPUWeight for the builds' slice; None where the kubelet has made nothing yet."""
    if found.pods is None:
        return None
    wanted = SHARE * found.pods * (100 / SHARES_OF_100 if found.unit == "cpu.shares" else 1)
    return min(max(1, round(wanted)), HIGHEST)


def as_promised(found: Weights) -> bool:
    """Within a tenth, since weights are whole numbers."""
    if not found.pods or not found.builds:
        return False
    return abs(found.builds / found.pods / SHARE - 1) <= 0.1
