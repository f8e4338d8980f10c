"""What lies in containerd, and goes when the disk is short: BuildKit's cache, and images that nobody uses."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from binderbox import layout
from binderbox.parts.agent.jobs.running import kubectl, run

PRUNE_S, REMOVE_S = 600, 120
MB = 1_000_000
_BUILDCTL = (f"{layout.BIN}/buildctl", "--addr", f"unix://{layout.BUILDKIT_SOCKET}")
_CTR = (layout.K3S, "ctr", "--address", layout.CONTAINERD_SOCKET, "--namespace", "k8s.io")


def cache_records() -> list[dict[str, Any]]:
    """BuildKit's records: `size`, `shared` with an image or another record, `inUse`."""
    found: list[dict[str, Any]] = (
        json.loads(run([*_BUILDCTL, "du", "--format", "{{json .}}"]) or "null") or []
    )
    return found


def own_bytes(records: Iterable[dict[str, Any]]) -> int:
    """What goes with them, and is no image's."""
    return sum(int(one["size"]) for one in records if not one["shared"])


def prune_cache(short_bytes: int) -> int:
    """Take so much of it, as far as it is no image's; the bytes that went. What a build uses stays.

    Without `--all` BuildKit neither counts nor takes what an image shares, which would free nothing. 0 is no limit for it,
    so it is told 1 MB.
    """
    if not (own := own_bytes(cache_records())):
        return 0
    keep = max(1, (own - short_bytes) // MB)
    run([*_BUILDCTL, "prune", "--keep-storage", str(keep)], timeout_s=PRUNE_S)
    return max(0, own - own_bytes(cache_records()))


def unused_images() -> list[str]:
    """Names of members' images, as builds make them, that no pod of the node names and nobody has pinned."""
    listed = run(
        [*_CTR, "images", "list", "-q", f'name~="^{layout.IMAGE_PREFIX}",labels."{layout.IMAGE_PIN}"!=pinned']
    )
    pods = json.loads(kubectl("get", "pods", "--all-namespaces", "--output", "json"))["items"]
    named = {
        container["image"]
        for pod in pods
        for kind in ("initContainers", "containers", "ephemeralContainers")
        for container in pod["spec"].get(kind, ())
    }
    return [name for name in listed.split() if name not in named]


def remove(image: str) -> None:
    """At once, with what nothing else needs of it."""
    run([*_CTR, "images", "remove", "--sync", image], timeout_s=REMOVE_S)
