"""What the commands ask of `operate`, and what they get back: frozen data, no behaviour.

The command line makes a request and hands it with a Progress to one function of `operate`; `report` renders the result.

    check_host(CheckRequest, Progress) -> CheckReport           uninstall(UninstallRequest, Progress, Confirm) -> UninstallResult
    plan_host(PlanRequest, Progress) -> PlanResult              set_secret(SecretRequest, Progress) -> SecretsResult
    install(InstallRequest, Progress, Confirm) -> InstallResult list_secrets(Connection, Progress) -> SecretsResult
    status(StatusRequest, Progress) -> StatusResult             launch(LaunchRequest, Progress) -> LaunchResult

Failures are raised (`errors`), never returned. Times are seconds, sizes are gigabytes (10^9 bytes) in `_gb`.
Full output goes to the logger "binderbox", whose file the command line opens and the error names; never a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from binderbox.decide.sizing import AnyValue
    from binderbox.drain import Drain

Confirm = Callable[[str], bool]
"""Asks one yes-or-no question; True with --yes, a UsageError where nobody can answer."""


@dataclass(frozen=True)
class Connection:
    """How to reach the host: an ssh destination as the user gave it, and what ssh needs besides."""

    host: str
    ssh_config: Path | None = None
    sudo_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Sources:
    """Where the config and the artifacts come from. `config` None: the config that the host holds."""

    config: Path | None = None
    bundle: Path | None = None
    bundle_sha256: str | None = None


@dataclass(frozen=True)
class CheckRequest:
    connection: Connection
    sources: Sources = Sources()


@dataclass(frozen=True)
class PlanRequest:
    connection: Connection
    sources: Sources = Sources()
    diff: bool = False


@dataclass(frozen=True)
class InstallRequest:
    connection: Connection
    sources: Sources = Sources()
    lock_wait_s: float = 0.0


@dataclass(frozen=True)
class StatusRequest:
    connection: Connection


@dataclass(frozen=True)
class LaunchRequest:
    """`url` None: the small sample repository that binderbox brings along. `stop`: end the server afterwards."""

    connection: Connection
    url: str | None = None
    ref: str = "HEAD"
    stop: bool = False


@dataclass(frozen=True)
class UninstallRequest:
    connection: Connection
    purge: bool = False
    lock_wait_s: float = 0.0


@dataclass(frozen=True)
class SecretRequest:
    connection: Connection
    name: str
    value: bytes = field(repr=False)


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
    drain: Drain | None = None


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
