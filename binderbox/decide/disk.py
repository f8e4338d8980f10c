"""One planner for every ceiling on the node's disk, so that their sum leaves room.

It counts what has a ceiling. What a step of a build or a user writes before something looks has none; the floors below
hold it.

Three stores hold image bytes at once (containerd, BuildKit's cache, the registry's object store); each with a limit
of its own filled real members (mybinder.org-deploy 44a8414f, ed91228a). So one budget is handed out once:

    usable  = disk - what other things on the filesystem take
    budget  = 80 % of usable = images + BuildKit + object store + logs + 3 GB for k3s, the hub and system images
    defence = free space at which something gives way, what costs users least first: BuildKit's cache at 20 % of usable,
              images that nobody uses at 18.5 %, those of the registry that were idle longest at 18 %, images that wait for
              their push at 17 %, builds that grow at 14 to 16 % (how fast the disk fills decides), launches are refused at
              13 %, BuildKit prunes by itself at 12 %, pods are evicted at 5 % (1 to 20 GB)

Kubernetes counts in percent of the *whole* disk, whoever fills it, and deletes every image that no pod runs when
other things alone pass its mark. So its percentages are computed from what other things take, and eviction is
absolute. What others take is measured once and kept (`recorded_other_gb`) until it has moved by a tenth of the disk:
a plan must not change because somebody's log grew. GB are 10^9 bytes.

Where the data lies on a file system of its own, each has its own budget: there the object store has all of it, and images and
BuildKit's cache, whose layers are containerd's, share the rest of the other. The kubelet's own directory may be on a third, which
only has a floor: it holds logs and what pods write into volumes. Each has its own floor at which launches are refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from binderbox.decide.facts import Disk, HostFacts
from binderbox.member.model import Member
from binderbox.output.value import AnyValue, Value

MIN_USABLE_GB = 20.0  # 4 GB of system images, one base image three times, and room for two Jupyter images
BUDGET_SHARE = 0.8
SYSTEM_GB = 3.0
LOGS_SHARE, LOGS_MIN_GB, LOGS_MAX_GB = 0.02, 0.5, 10.0
# Of what is for logs: half for containers, each of which has so many files of at most 10 MiB (Kubernetes' own size); the rest
# for the journal, less twice the longest audit log.
CONTAINER_LOGS_SHARE, CONTAINER_LOG_FILES, CONTAINER_LOG_MAX_MIB, AUDIT_MB = 0.5, 3, 10, 34
IMAGES_SHARE, BUILDKIT_SHARE, OBJECTSTORE_SHARE = 0.38, 0.38, 0.24
MIN_DATA_GB = 8.0  # one Jupyter image and what it changes to
DATA_SYSTEM_GB = 1.0  # the hub's database and contexts
BUILDKIT_FREE_SHARE = 0.12
CACHE_FLOOR_SHARE, UNUSED_FLOOR_SHARE, REGISTRY_FLOOR_SHARE, LAUNCHES_FLOOR_SHARE = 0.2, 0.185, 0.18, 0.13
DATA_REGISTRY_FLOOR_SHARE, DATA_LAUNCHES_FLOOR_SHARE = 0.15, 0.05
NODE_LAUNCHES_FLOOR = 2.0  # of what is evicted at
BUILDS_FLOOR_SHARE, BUILDS_FLOOR_MAX_SHARE = 0.14, 0.16  # above BuildKit's own, which holds no build back
PINS_FLOOR_SHARE = 0.17
PINS_SHARE, PINS = 0.5, 1000
USER_SHARE, USER_MIN_GB, USER_MAX_GB = 0.05, 1.0, 10.0
EVICTION_SHARE, EVICTION_MIN_GB, EVICTION_MAX_GB = 0.05, 1.0, 20.0
DRIFT_SHARE = 0.1


@dataclass(frozen=True)
class DiskPlan:
    """Every ceiling of one filesystem."""

    other_gb: Value[float]
    usable_gb: Value[float]
    images_gb: Value[float]
    buildkit_max_gb: Value[float]
    objectstore_max_gb: Value[float]
    logs_gb: Value[float]
    buildkit_reserved_gb: Value[float]
    buildkit_min_free_gb: Value[float]
    builds_floor_gb: Value[float]
    builds_floor_max_gb: Value[float]
    pins_floor_gb: Value[float]
    pins_gb: Value[float]
    pins: Value[int]
    user_gb: Value[float]
    image_gc_high_percent: Value[int]
    image_gc_low_percent: Value[int]
    eviction_hard_gb: Value[float]
    cache_floor_gb: Value[float]
    unused_floor_gb: Value[float]
    registry_floor_gb: Value[float]
    launches_floor_gb: Value[float]
    data_other_gb: Value[float] | None = None  # of the data's file system, where it has its own
    data_usable_gb: Value[float] | None = None
    node_other_gb: Value[float] | None = None  # of the kubelet's, where that is not the images'
    node_eviction_gb: Value[float] | None = None
    data_launches_floor_gb: Value[float] | None = None  # registry_floor_gb is of that disk, too
    node_launches_floor_gb: Value[float] | None = None
    store_is_outside: bool = False

    @property
    def values(self) -> tuple[AnyValue, ...]:
        """All figures, in the order in which `plan` prints them."""
        return (
            self.other_gb,
            self.usable_gb,
            self.images_gb,
            self.buildkit_max_gb,
            self.objectstore_max_gb,
            self.logs_gb,
            self.buildkit_reserved_gb,
            self.buildkit_min_free_gb,
            self.builds_floor_gb,
            self.builds_floor_max_gb,
            self.pins_floor_gb,
            self.pins_gb,
            self.pins,
            self.user_gb,
            self.image_gc_high_percent,
            self.image_gc_low_percent,
            self.eviction_hard_gb,
            self.cache_floor_gb,
            self.unused_floor_gb,
            self.registry_floor_gb,
            self.launches_floor_gb,
            *(
                one
                for one in (
                    self.data_other_gb,
                    self.data_usable_gb,
                    self.node_other_gb,
                    self.node_eviction_gb,
                    self.data_launches_floor_gb,
                    self.node_launches_floor_gb,
                )
                if one is not None
            ),
        )

    @property
    def ceilings_gb(self) -> float:
        """Sum of everything that may grow on the images' disk, with what k3s and the hub need."""
        parts = [self.images_gb, self.buildkit_max_gb, self.logs_gb]
        parts += [] if self.data_usable_gb or self.store_is_outside else [self.objectstore_max_gb]
        return SYSTEM_GB + sum(part.value for part in parts)


@dataclass(frozen=True)
class DiskTooSmall:
    """No plan fits: `needed_gb` of usable space against `found_gb`, and why."""

    needed_gb: float
    found_gb: float
    reason: str


def plan_of(member: Member, facts: HostFacts) -> DiskPlan | DiskTooSmall:
    """The plan of a host's file systems, however many there are."""
    data = Disk(facts.disk_gb, facts.disk_free_gb, facts.ours_gb, facts.recorded_other_gb)
    images = facts.images_disk or data
    return make_disk_plan(
        member,
        images.size_gb,
        images.free_gb,
        images.ours_gb,
        images.recorded_other_gb,
        data=data if facts.images_disk else None,
        node=facts.node_disk,
    )


def container_log_mib(logs_gb: float, pods: int) -> int:
    """How long each file of a container's log may be, so that those of all pods are within their part."""
    each = CONTAINER_LOGS_SHARE * logs_gb * 1e9 / (CONTAINER_LOG_FILES * pods) / (1 << 20)
    return min(max(1, int(each)), CONTAINER_LOG_MAX_MIB)


def journal_mb(logs_gb: float) -> int:
    """What the journal may take of it."""
    return max(50, round((1 - CONTAINER_LOGS_SHARE) * logs_gb * 1000) - AUDIT_MB)


def make_disk_plan(
    member: Member,
    disk_gb: float,
    disk_free_gb: float,
    ours_gb: float = 0.0,
    recorded_other_gb: float | None = None,
    *,
    data: Disk | None = None,
    node: Disk | None = None,
) -> DiskPlan | DiskTooSmall:
    """Hand out the budget of a disk of `disk_gb` with `disk_free_gb` free, of which our data already takes `ours_gb`.

    + data: the disk of `data_dir`, where that is another one
    + node: that of the kubelet's own directory, where that is another one than the images'
    """
    of_data = None if data is None else _of_data(member, data)
    if isinstance(of_data, DiskTooSmall):
        return of_data
    of_node = None if node is None else _of_node(node)
    other = _other(disk_gb, disk_free_gb, ours_gb, recorded_other_gb)
    usable = _floor(disk_gb - other.value)
    if usable < MIN_USABLE_GB:
        return DiskTooSmall(
            MIN_USABLE_GB, max(0.0, usable), f"of {disk_gb:.0f} GB, {other.value:.0f} GB are taken"
        )
    logs = Value(
        "disk.logs_gb",
        _floor(min(max(LOGS_SHARE * usable, LOGS_MIN_GB), LOGS_MAX_GB)),
        "GB",
        "2 % of the usable disk, 0.5 to 10 GB",
    ).overridden(member.disk.logs_gb)
    shared = BUDGET_SHARE * usable - SYSTEM_GB - logs.value
    elsewhere = of_data is not None or member.object_store is not None
    alone = 1 - OBJECTSTORE_SHARE if elsewhere else 1.0
    images = _share("disk.images_gb", IMAGES_SHARE / alone, shared, member.disk.images_gb)
    buildkit = _share("disk.buildkit_gb", BUILDKIT_SHARE / alone, shared, member.disk.buildkit_gb)
    objectstore = (
        _outside(member)
        if member.object_store
        else of_data[2]
        if of_data
        else _share("disk.objectstore_gb", OBJECTSTORE_SHARE, shared, member.disk.objectstore_gb)
    )
    total = SYSTEM_GB + logs.value + images.value + buildkit.value + (0 if elsewhere else objectstore.value)
    if total > BUDGET_SHARE * usable + 1e-6:
        reason = (
            f"the ceilings of the config add up to {total:.1f} GB, and 80 % of {usable:.1f} GB is the most"
        )
        return DiskTooSmall(_ceil(total / BUDGET_SHARE), usable, reason)
    high = int(100 * (other.value + (1 - UNUSED_FLOOR_SHARE) * usable) / disk_gb)
    low = int(100 * (other.value + BUDGET_SHARE * usable - images.value / 2) / disk_gb)
    return DiskPlan(
        other_gb=other,
        usable_gb=Value("disk.usable_gb", usable, "GB", f"{disk_gb:.1f} GB less what other things take"),
        images_gb=images,
        buildkit_max_gb=buildkit,
        objectstore_max_gb=objectstore,
        logs_gb=logs,
        buildkit_reserved_gb=Value(
            "disk.buildkit_reserved_gb",
            _floor(buildkit.value / 4),
            "GB",
            "a quarter of its ceiling is never pruned",
        ),
        buildkit_min_free_gb=Value(
            "disk.buildkit_min_free_gb",
            _floor(BUILDKIT_FREE_SHARE * usable),
            "GB",
            "12 % of the usable disk: the cache goes before pods do",
        ),
        builds_floor_gb=Value(
            "disk.builds_floor_gb",
            _floor(BUILDS_FLOOR_SHARE * usable),
            "GB free",
            "14 % of the usable disk: builds that grow end before the cache and pods go",
        ),
        builds_floor_max_gb=Value(
            "disk.builds_floor_max_gb",
            _floor(BUILDS_FLOOR_MAX_SHARE * usable),
            "GB free",
            "16 % of the usable disk: the same where the disk fills quickly",
        ),
        pins_floor_gb=Value(
            "disk.pins_floor_gb",
            _floor(PINS_FLOOR_SHARE * usable),
            "GB free",
            "17 % of the usable disk: images that wait for their push may go",
        ),
        pins_gb=Value(
            "disk.pins_gb",
            _floor(PINS_SHARE * images.value),
            "GB",
            "half of the images' ceiling, for those that wait for their push",
        ),
        pins=Value("disk.pins", PINS, "images", "the most that wait for their push"),
        user_gb=Value(
            "disk.user_gb",
            _floor(min(max(USER_SHARE * usable, USER_MIN_GB), USER_MAX_GB)),
            "GB",
            "5 % of the usable disk, 1 to 10 GB: what one user may write outside a volume",
        ),
        image_gc_high_percent=Value(
            "disk.image_gc_high_percent",
            high,
            "% of the whole disk",
            f"what others take ({other.value:.0f} GB) and all but 18.5 % of the usable disk: the cache has gone by then",
        ),
        image_gc_low_percent=Value(
            "disk.image_gc_low_percent",
            max(1, min(low, high - 1)),
            "% of the whole disk",
            "half of the images' ceiling below it",
        ),
        eviction_hard_gb=Value(
            "disk.eviction_hard_gb",
            _floor(min(max(EVICTION_SHARE * usable, EVICTION_MIN_GB), EVICTION_MAX_GB)),
            "GB free",
            "5 % of the usable disk, 1 to 20 GB; absolute, because a percentage would count what others take",
        ),
        cache_floor_gb=_free("cache", CACHE_FLOOR_SHARE, usable, "below it BuildKit's cache goes"),
        unused_floor_gb=_free("unused", UNUSED_FLOOR_SHARE, usable, "below it images that nobody uses go"),
        registry_floor_gb=_free(
            "registry",
            DATA_REGISTRY_FLOOR_SHARE if of_data else REGISTRY_FLOOR_SHARE,
            of_data[1].value if of_data else usable,
            "below it the registry forgets those idle longest",
        ),
        launches_floor_gb=_free("launches", LAUNCHES_FLOOR_SHARE, usable, "below it launches are refused"),
        data_other_gb=of_data[0] if of_data else None,
        data_usable_gb=of_data[1] if of_data else None,
        node_other_gb=of_node[0] if of_node else None,
        node_eviction_gb=of_node[1] if of_node else None,
        data_launches_floor_gb=_free(
            "data_launches",
            DATA_LAUNCHES_FLOOR_SHARE,
            of_data[1].value,
            "below it launches are refused: the hub keeps its database there",
        )
        if of_data
        else None,
        node_launches_floor_gb=_twice_the_eviction(of_node[1]) if of_node else None,
        store_is_outside=member.object_store is not None,
    )


def _free(what: str, share: float, usable_gb: float, why: str) -> Value[float]:
    key, size = f"disk.{what}_floor_gb", _floor(share * usable_gb)
    return Value(key, size, "GB free", f"{100 * share:g} % of the usable disk: {why}")


def _twice_the_eviction(eviction: Value[float]) -> Value[float]:
    why = "twice what pods are evicted at: below it launches are refused"
    return Value("disk.node_launches_floor_gb", NODE_LAUNCHES_FLOOR * eviction.value, "GB free", why)


def _of_data(member: Member, data: Disk) -> tuple[Value[float], Value[float], Value[float]] | DiskTooSmall:
    """What others take there, what is usable, and the object store's ceiling."""
    other = _other(data.size_gb, data.free_gb, data.ours_gb, data.recorded_other_gb, "disk.data_other_gb")
    usable = _floor(data.size_gb - other.value)
    if usable < MIN_DATA_GB:
        return DiskTooSmall(
            MIN_DATA_GB,
            max(0.0, usable),
            f"of {data.size_gb:.0f} GB on the disk of {member.data_dir}, {other.value:.0f} GB are taken",
        )
    ceiling = Value(
        "disk.objectstore_gb",
        _floor(BUDGET_SHARE * usable - DATA_SYSTEM_GB),
        "GB",
        f"80 % of the data's own disk after {DATA_SYSTEM_GB:.0f} GB for the hub and contexts",
    ).overridden(None if member.object_store else member.disk.objectstore_gb)
    if ceiling.value > BUDGET_SHARE * usable - DATA_SYSTEM_GB + 1e-6:
        needed = _ceil((ceiling.value + DATA_SYSTEM_GB) / BUDGET_SHARE)
        return DiskTooSmall(
            needed, usable, f"the object store's ceiling is more than 80 % of the disk of {member.data_dir}"
        )
    told = Value("disk.data_usable_gb", usable, "GB", f"{data.size_gb:.1f} GB less what other things take")
    return other, told, ceiling


def _outside(member: Member) -> Value[float]:
    why = "no ceiling: the object store is not on this host, and the registry forgets by age alone"
    return Value("disk.objectstore_gb", 0.0, "GB", why).overridden(member.disk.objectstore_gb)


def _of_node(node: Disk) -> tuple[Value[float], Value[float]]:
    """What others take there, and where the kubelet evicts."""
    other = _other(node.size_gb, node.free_gb, node.ours_gb, node.recorded_other_gb, "disk.node_other_gb")
    size = min(max(EVICTION_SHARE * (node.size_gb - other.value), EVICTION_MIN_GB / 2), EVICTION_MAX_GB)
    why = "5 % of what is usable of the kubelet's own disk, 0.5 to 20 GB: that of the images is another one"
    return other, Value("disk.node_eviction_gb", _floor(size), "GB free", why)


def _other(
    disk_gb: float, free_gb: float, ours_gb: float, recorded: float | None, key: str = "disk.other_gb"
) -> Value[float]:
    now = max(0.0, _ceil(disk_gb - free_gb - ours_gb))
    if recorded is not None and abs(now - recorded) <= DRIFT_SHARE * disk_gb:
        return Value(key, recorded, "GB", "taken by other things at the first install", "node")
    return Value(key, now, "GB", "taken by the system and other things on this disk", "node")


def _share(key: str, share: float, shared: float, given: float | None) -> Value[float]:
    value = _floor(share * shared)
    reason = (
        f"{share:.0%} of what 80 % of the usable disk leaves after logs and {SYSTEM_GB:.0f} GB for the system"
    )
    return Value(key, value, "GB", reason).overridden(given)


def _floor(size: float) -> float:
    return math.floor(size * 10 + 1e-6) / 10


def _ceil(size: float) -> float:
    return math.ceil(size * 10 - 1e-6) / 10
