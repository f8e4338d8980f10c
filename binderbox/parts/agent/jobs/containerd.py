"""What lies in containerd, and goes when the disk is short: BuildKit's cache, and images that nobody uses."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from binderbox import layout
from binderbox.parts.agent.jobs.running import kubectl, run

PRUNE_S, REMOVE_S = 600, 120
OLDEST = 3
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


def prune_oldest() -> None:
    """Take those few records of it that were used longest ago and that no other builds on, shared or not.

    What BuildKit says of sharing is not true of a layer right on a base image: it remembers its chain of digests from before the
    layer had one (v0.32 cache/refs.go, layerDigestChain), and that is the base's own.
    """
    records = cache_records()
    parents = {parent for one in records for parent in one["parents"] or ()}
    ends = [one for one in records if one["id"] not in parents and not one["inUse"]]
    ends.sort(key=lambda one: one["lastUsedAt"] or one["createdAt"])
    if ends:
        named = [word for one in ends[:OLDEST] for word in ("--filter", f"id=={one['id']}")]
        run([*_BUILDCTL, "prune", "--all", *named], timeout_s=PRUNE_S)


def prune_all() -> None:
    """All of it that no build uses."""
    run([*_BUILDCTL, "prune", "--all"], timeout_s=PRUNE_S)


def unused_images() -> list[str]:
    """Names of members' images, as builds make them, that no pod of the node names and nobody has pinned."""
    listed = [name for name, _, pinned in _records() if name.startswith(layout.IMAGE_PREFIX) and not pinned]
    pods = json.loads(kubectl("get", "pods", "--all-namespaces", "--output", "json"))["items"]
    named = {
        container["image"]
        for pod in pods
        for kind in ("initContainers", "containers", "ephemeralContainers")
        for container in pod["spec"].get(kind, ())
    }
    return [name for name in listed if "@" not in name and name not in named]


def remove(image: str) -> None:
    """At once, with what nothing else needs of it.

    Kubernetes has it under its id too, and what it pulled under its digest; those go where no other name is left.
    """
    records = _records()
    digest = next((digest for name, digest, _ in records if name == image), "")
    same = [name for name, other, _ in records if other == digest and name != image]
    own = [image, *(same if all("sha256:" in name for name in same) else ())]
    run([*_CTR, "images", "remove", "--sync", *own], timeout_s=REMOVE_S)


def _records() -> list[tuple[str, str, bool]]:
    """(name, digest, whether it is pinned) of every image's record."""
    rows = (line.split() for line in run([*_CTR, "images", "list"]).splitlines()[1:])
    return [
        (row[0], row[2], f"{layout.IMAGE_PIN}=pinned" in row[-1].split(",")) for row in rows if len(row) > 3
    ]
