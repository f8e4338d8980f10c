"""What the member's own pods and daemons take, and the most each took while 30 people launched.

Resident memory by process (/proc/PID/status, VmRSS and VmHWM), summed by pod and by systemd's unit. A pod's peak is the
sum of its processes' peaks, which is never less than the true one. Units of 10^6 bytes.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from tests.bench.measure import CouldNotMeasure, Measure
from tests.e2e.federated import kubectl
from tests.e2e.storm import crowd, storm
from tests.rig.host import RigHost

GOAL_MB = 800
LIMIT_OVER_PEAK = 1.5
SETTLE_S = 1800
NOT_OURS = ("singleuser-server", "binderhub-build")
POD = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")
UNIT = re.compile(r"/([^/]+\.service)\b")
PROCESSES = """
for process in /proc/[0-9]*; do
    group=$(tr '\\n' ' ' <"$process/cgroup") && awk -v group="$group" '/^VmHWM:/ { peak = $2 } /^VmRSS:/ { print $2, peak, group }' "$process/status"
done 2>/dev/null
"""


def measure(host: RigHost) -> Measure:
    """On a member: a storm of launches, then so long that what they left is gone or stays."""
    with crowd(host) as visitors:
        found = storm(host, visitors)
    if found.failed:
        raise CouldNotMeasure(f"{len(found.failed)} launches failed: {found.failed[0]}")
    time.sleep(SETTLE_S)
    pods = {
        pod["metadata"]["uid"]: pod
        for pod in kubectl(host, "get", "pods", "-A")["items"]
        if pod["metadata"].get("labels", {}).get("component") not in NOT_OURS
    }
    groups = by_group(host.exec(["sh", "-c", PROCESSES]).splitlines())
    named = {_name(pods[group]): group for group in groups if group in pods}
    total = sum(groups[group][0] for group in named.values())
    tight = {
        name: round(limit / groups[group][1], 2)
        for name, group in named.items()
        if (limit := _limit_mb(pods[group])) and limit < LIMIT_OVER_PEAK * groups[group][1]
    }
    return Measure(
        "memory",
        f"the member's own pods, MB, {SETTLE_S // 60} minutes after {len(found.seconds)} launches / {GOAL_MB}",
        total / GOAL_MB,
        1.0,
        {
            "pods_mb": round(total),
            "now_mb": {name: round(groups[group][0]) for name, group in sorted(named.items())},
            "peak_mb": {name: round(groups[group][1]) for name, group in sorted(named.items())},
            "daemons_mb": {name: round(now) for name, (now, _) in sorted(groups.items()) if _ours(name)},
            "limit_below_1.5_peaks": tight,
            "storm_median_s": found.at(50),
            "storm_95_s": found.at(95),
        },
    )


def by_group(lines: Iterable[str]) -> dict[str, tuple[float, float]]:
    """Lines `now_kb peak_kb cgroups` to MB now and at most, by a pod's uid or a unit's name."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for line in lines:
        now, peak, cgroups = line.split(maxsplit=2)
        pod, unit = POD.search(cgroups), UNIT.search(cgroups)
        name = pod[1].replace("_", "-") if pod else unit[1] if unit else ""
        sums[name][0] += int(now) * 1024 / 1e6
        sums[name][1] += int(peak) * 1024 / 1e6
    return {name: (now, peak) for name, (now, peak) in sums.items() if name}


def _name(pod: Mapping[str, Any]) -> str:
    """Without what Kubernetes adds for each pod of a deployment."""
    return re.sub(r"-[0-9a-f]{6,10}-[0-9a-z]{5}$", "", str(pod["metadata"]["name"]))


def _limit_mb(pod: Mapping[str, Any]) -> float:
    """0 where there is none."""
    limits = [one.get("resources", {}).get("limits", {}).get("memory") for one in pod["spec"]["containers"]]
    return sum(float(parse_quantity(one)) / 1e6 for one in limits if one)


def _ours(name: str) -> bool:
    return name.startswith(("binderbox", "k3s"))
