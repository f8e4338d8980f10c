"""Which file systems the node's disk job looks at, from the plan of the disk. Pure."""

from __future__ import annotations

from binderbox import layout
from binderbox.decide.disk import DiskPlan
from binderbox.parts.disk.usage import BUILDKIT, IMAGES, LOGS, STORE
from binderbox.parts.disk.watermarks import CACHE, LAUNCHES, REGISTRY, UNUSED, FileSystem

KUBELET = "/var/lib/kubelet"


def file_systems(plan: DiskPlan, data_dir: str) -> tuple[FileSystem, ...]:
    """That of images, that of the data where it is another one, and the kubelet's where that is no image's."""
    floors = {
        CACHE: plan.cache_floor_gb.value,
        UNUSED: plan.unused_floor_gb.value,
        LAUNCHES: plan.launches_floor_gb.value,
    }
    registry = {} if plan.store_is_outside else {REGISTRY: plan.registry_floor_gb.value}
    others = []
    if plan.data_usable_gb and plan.data_other_gb and plan.data_launches_floor_gb:
        of_data = registry | {LAUNCHES: plan.data_launches_floor_gb.value}
        usable, other = plan.data_usable_gb.value, plan.data_other_gb.value
        others.append(FileSystem("data", data_dir, usable, other, of_data))
    else:
        floors |= registry
    if plan.node_other_gb and plan.node_launches_floor_gb:
        of_node = {LAUNCHES: plan.node_launches_floor_gb.value}
        others.append(FileSystem("kubelet", KUBELET, 0.0, plan.node_other_gb.value, of_node))
    images = FileSystem("images", layout.K3S_DATA, plan.usable_gb.value, plan.other_gb.value, floors)
    return (images, *others)


def ceilings_gb(plan: DiskPlan) -> dict[str, float]:
    """Ceiling of each part that has one, as the plan has it."""
    return {
        IMAGES: plan.images_gb.value,
        BUILDKIT: plan.buildkit_max_gb.value,
        **({} if plan.store_is_outside else {STORE: plan.objectstore_max_gb.value}),
        LOGS: plan.logs_gb.value,
    }
