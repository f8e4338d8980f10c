"""What the commands give back: frozen data, no behaviour; `report/` renders it for people, `jsonlines` for programs.

Failures are raised (`errors`), never returned. Times are seconds, sizes are gigabytes (10^9 bytes) in `_gb`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from binderbox.output.value import AnyValue


@dataclass(frozen=True)
class PhaseResult:
    """One finished phase: how long it took, how many operations changed the host, how many found it right."""

    title: str
    seconds: float
    changed: int
    unchanged: int


Word = Literal["pass", "warn", "fail", "skip"]


@dataclass(frozen=True)
class CheckResult:
    """A Check and its Verdict, as tables and JSON show it."""

    id: str
    category: str
    claim: str
    verdict: Word
    measured: str
    needed: str = ""
    fix: str = ""


@dataclass(frozen=True)
class CheckReport:
    host: str
    checks: tuple[CheckResult, ...]


@dataclass(frozen=True)
class ArtifactRow:
    """One artifact: why its checksum is believed (`trust`, and by whom it was stated), and whether the node has it."""

    name: str
    version: str
    trust: str
    sha256: str
    source: str
    here: bool
    size_mb: float | None = None
    stated_by: str = ""


@dataclass(frozen=True)
class ArtifactsResult:
    host: str
    artifacts: tuple[ArtifactRow, ...]


@dataclass(frozen=True)
class PlanResult:
    """`changed` names operations that would change, `diffs` are unified diffs, `config_diff` local against applied."""

    host: str
    values: tuple[AnyValue, ...]
    phases: tuple[PhaseResult, ...]
    changed: tuple[str, ...]
    diffs: tuple[str, ...] = ()
    config_diff: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LaunchResult:
    """One repository launched. `url` opens the notebook; `seconds` by step, in order, the last being the total."""

    host: str
    repository: str
    ref: str
    url: str
    image: str
    built: bool
    pulled: bool
    seconds: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Proof:
    """What the proof saw: a launch with a build, one without, and what notebook and build step could reach."""

    cold: LaunchResult
    warm: LaunchResult
    seen_by_kernel: Mapping[str, bool | str]
    seen_by_build: Mapping[str, bool | str]
    unseen: str  # the name that was asked for
    said_to_fetch: str  # what BuildKit said to a build that comes FROM there


@dataclass(frozen=True)
class AbuseRow:
    """One thing that strangers' code tried; `notebook` and `build` are what it got, `fault` what is wrong with that, if anything."""

    name: str
    must: Literal["refused", "answered"]
    notebook: str
    build: str
    fault: str


@dataclass(frozen=True)
class AbuseResult:
    """All that was tried."""

    host: str
    rows: tuple[AbuseRow, ...]


@dataclass(frozen=True)
class InstallResult:
    """`url` is the member's public address; `launches` the proof: first a build, then a warm one."""

    host: str
    url: str
    phases: tuple[PhaseResult, ...]
    changed: tuple[str, ...]
    launches: tuple[LaunchResult, ...] = ()
    checks: tuple[CheckResult, ...] = ()


@dataclass(frozen=True)
class Part:
    """One part of the installation, e.g. name "registry", version "3.1.1", detail "1/1 ready for 3 h"."""

    name: str
    ok: bool
    version: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Gauge:
    """One number against its limit, e.g. user pods 3 of 20, disk 41 of 80 GB. `limit` None: none set."""

    name: str
    value: float
    limit: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Drained:
    """That a member is drained: why, by whom, since when (ISO 8601, UTC), and whether launches are refused as well."""

    reason: str
    who: str = ""
    since: str = ""
    closed: bool = False


@dataclass(frozen=True)
class InFlight:
    """Who is on the member: sessions, builds, and the latest time at which the last session ends (ISO 8601, UTC)."""

    sessions: int
    builds: int
    ends_by: str | None = None

    @property
    def none(self) -> bool:
        return not self.sessions and not self.builds


@dataclass(frozen=True)
class DrainResult:
    """How `drain` or `resume` ended. `status` is what /health answers now; `left` who is on the member still."""

    host: str
    drained: bool
    changed: bool
    status: int
    left: InFlight
    drain: Drained | None


@dataclass(frozen=True)
class StatusResult:
    """One screen. `verdict`: healthy, degraded (a part or check says no) or absent (nothing is installed).

    `drain`: None while the member is in rotation, as far as the node is asked.
    """

    host: str
    verdict: Literal["healthy", "degraded", "absent"]
    url: str = ""
    applied: str = ""
    parts: tuple[Part, ...] = ()
    gauges: tuple[Gauge, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    drain: Drained | None = None


@dataclass(frozen=True)
class DiskFileSystem:
    """`floors_gb`: what must be free, by what gives way below it. `days_left` until launches are refused, at this pace."""

    path: str
    size_gb: float
    free_gb: float
    floors_gb: Mapping[str, float]
    growth_gb_day: float | None
    days_left: float | None


@dataclass(frozen=True)
class DiskPart:
    """What one part of the member takes; `ceiling_gb` None where it has none."""

    name: str
    path: str
    used_gb: float
    ceiling_gb: float | None
    growth_gb_day: float | None
    days_left: float | None


@dataclass(frozen=True)
class DiskResult:
    """Who uses what, measured `at`; what gave way last (`did`), and who else fills the disk.

    + refused: file systems for whose sake no launch is let in
    + hit_rate: of `launches`, those of a week, the share whose image was there; builds are of a day
    """

    host: str
    at: str
    file_systems: tuple[DiskFileSystem, ...]
    parts: tuple[DiskPart, ...]
    refused: tuple[str, ...]
    did: tuple[str, ...]
    others: tuple[str, ...]
    hit_rate: float | None
    launches: int
    builds: int
    builds_failed: int
    build_median_s: float | None
    build_slowest_tenth_s: float | None
    pushes_waiting: int


@dataclass(frozen=True)
class UninstallResult:
    """`removed` and `kept` name what was taken away and what stays; `leftovers` must be empty."""

    host: str
    removed: tuple[str, ...]
    kept: tuple[str, ...]
    leftovers: tuple[str, ...]
    phases: tuple[PhaseResult, ...] = ()


@dataclass(frozen=True)
class Secret:
    """A secret's name and where it comes from; never its value."""

    name: str
    origin: Literal["generated", "given"]
    present: bool
    purpose: str = ""


@dataclass(frozen=True)
class SecretsResult:
    """`changed` names the secrets that this command wrote."""

    host: str
    secrets: tuple[Secret, ...]
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class BundledFile:
    """One artifact of a bundle. `trust`: pinned, stated by its publisher, or lock, where that alone was asked."""

    name: str
    version: str
    kind: str
    file: str
    size_bytes: int
    sha256: str
    trust: Literal["pinned", "stated", "lock"]
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class BundleResult:
    """`lock_sha256` is what `--bundle-sha256` names; with `needs_lock` an install wants it, else pins are enough."""

    directory: str
    changed: bool
    lock_sha256: str
    needs_lock: bool
    size_bytes: int
    files: tuple[BundledFile, ...]
