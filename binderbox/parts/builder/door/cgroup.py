"""Which pod and container a process belongs to, from the text of /proc/PID/cgroup."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UID = r"(?P<uid>[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})"
_CONTAINER = r"(?P<container>[0-9a-f]{64})"
_FORMS = (
    # cgroupfs driver: /kubepods/burstable/pod<uid>/<container id>
    re.compile(rf"/kubepods(?:/burstable|/besteffort)?/pod{_UID}/{_CONTAINER}"),
    # systemd driver: /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid>.slice/cri-containerd-<id>.scope
    re.compile(
        r"/kubepods\.slice/(?:kubepods-(?:burstable|besteffort)\.slice/)?"
        rf"kubepods(?:-burstable|-besteffort)?-pod{_UID}\.slice/cri-containerd-{_CONTAINER}\.scope"
    ),
)


@dataclass(frozen=True)
class PodProcess:
    uid: str
    container_id: str


def parse_cgroup(text: str) -> PodProcess | None:
    """Return the pod that every hierarchy agrees on, or None for a process that is in no pod.

    cgroup v2 has one line, v1 and the hybrid have one per controller. On a hybrid node some hierarchies
    may stay at the root for a pod; two that name different pods belong to nobody. What a process does
    below its container's own cgroup is ignored, so nothing after the container id is looked at; what
    stands before it is only the kubelet's own root, possibly below a k3s or systemd slice.
    """
    found = set()
    for line in text.splitlines():
        path = line.split(":", 2)[-1]
        for form in _FORMS:
            match = form.search(path)
            if match:
                found.add(PodProcess(match["uid"].replace("_", "-"), match["container"]))
                break
    return found.pop() if len(found) == 1 else None
