"""Whether the images that the member runs are here to stay, and whether what is recorded of artifacts is still stated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from binderbox import layout
from binderbox.checks.core import Check, Verdict, failed, passed, skipped
from binderbox.checks.probe import Probe
from binderbox.checks.workloads import AGAIN

# Of visitors and their builds: those images come and go.
OTHERS = ("singleuser-server", "binderhub-build")
NAMESPACES = (layout.NAMESPACE, layout.HUB_NAMESPACE, "kube-system")


@dataclass(frozen=True)
class Images:
    """Names: what runs and will be run, and what is pinned."""

    wanted: tuple[str, ...]
    pinned: frozenset[str]


def look_images(probe: Probe) -> Images:
    pods = [pod for name in NAMESPACES for pod in probe.kubectl_json(["get", "pods", "-n", name])["items"]]
    ours = [pod for pod in pods if pod["metadata"].get("labels", {}).get("component") not in OTHERS]
    run = {
        container["image"]
        for pod in ours
        for container in (*pod["spec"].get("initContainers", []), *pod["spec"].get("containers", []))
    }
    needed = {
        name for one in probe.artifacts.values() if one.kind == "image" and one.sha256 for name in one.images
    }
    return Images(tuple(sorted(run | needed)), frozenset(probe.pinned_images()))


def judge_images(found: Images) -> Verdict:
    """One that is not pinned goes with the kubelet's image GC, and is then pulled from wherever its tag leads."""
    loose = [name for name in found.wanted if name not in found.pinned]
    if loose:
        return failed(f"not pinned: {', '.join(loose)}", "every image of the member's own pinned", AGAIN)
    return passed(f"{len(found.wanted)} images")


def look_upstream(probe: Probe) -> Mapping[str, tuple[str, str]] | None:
    return probe.upstream


def judge_upstream(found: Mapping[str, tuple[str, str]] | None) -> Verdict:
    if found is None:
        return skipped("publishers are asked by `binderbox check HOST --upstream` alone")
    moved = {name: pair for name, pair in found.items() if pair[0] != pair[1]}
    if not moved:
        return passed(f"{len(found)} artifacts, as recorded")
    name, (recorded, stated) = next(iter(moved.items()))
    return failed(
        "; ".join(f"{one}: recorded {old}, stated {new}" for one, (old, new) in moved.items()),
        "the same sum under the same version",
        f"ask its publisher why; until then an install refuses. binderbox install HOST --accept {name}={recorded} "
        f"keeps what is here, --accept {name}={stated} takes the new one",
    )


CHECKS: Sequence[Check[Any]] = (
    Check("BBX-U07", "binderhub", "every image of the member's own is pinned", look_images, judge_images,
          "An image that is not pinned can be taken away when the disk fills, and is pulled again by its tag."),
    Check("BBX-T01", "artifacts", "publishers state what is recorded", look_upstream, judge_upstream,
          "A publisher that states another checksum for the same version has changed it, or somebody else has."),
)  # fmt: skip
