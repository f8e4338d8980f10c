"""What the command line asks of the commands: frozen data, no behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Confirm = Callable[[str], bool]
"""Asks one yes-or-no question; True with --yes, a UsageError where nobody can answer."""


@dataclass(frozen=True)
class Connection:
    """How to reach the host: an ssh destination as the user gave it, and what ssh needs besides.

    `address`: where this client reaches the host's web ports, if that is neither in DNS nor where ssh goes.
    """

    host: str
    ssh_config: Path | None = None
    sudo_password: str | None = field(default=None, repr=False)
    address: str | None = None


@dataclass(frozen=True)
class Said:
    """An HTTP answer after its redirects; names of headers in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


Ask = Callable[[str, Mapping[str, str], float], Said]
"""GET of an address with these headers, at most so many MB; raises NoAnswer."""


@dataclass(frozen=True)
class Sources:
    """Where the config and the artifacts come from. `config` None: the config that the host holds.

    `versions` is a site's own file of pins; None: the one that the host holds, else the one of this binderbox.
    """

    config: Path | None = None
    bundle: Path | None = None
    bundle_sha256: str | None = None
    versions: Path | None = None


@dataclass(frozen=True)
class CheckRequest:
    """`upstream`: ask publishers whether they still state what the node has recorded."""

    connection: Connection
    sources: Sources = Sources()
    upstream: bool = False


@dataclass(frozen=True)
class ArtifactsRequest:
    connection: Connection
    sources: Sources = Sources()


@dataclass(frozen=True)
class PlanRequest:
    connection: Connection
    sources: Sources = Sources()
    diff: bool = False
    require_pins: bool = False


@dataclass(frozen=True)
class InstallRequest:
    """`accepted`: name to sha256, where an operator decided about a disputed artifact. `yes_firewall`: switch another
    firewall off, by the lines that its check names.
    """

    connection: Connection
    sources: Sources = Sources()
    lock_wait_s: float = 0.0
    require_pins: bool = False
    accepted: Mapping[str, str] = field(default_factory=dict)
    yes_firewall: bool = False


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
class AbuseRequest:
    connection: Connection


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
class BundleRequest:
    """`versions` None: the pins of this binderbox. `require_pins` None: only where there are authorities of a site's own."""

    directory: Path
    arch: str = "amd64"
    versions: Path | None = None
    extra_ca: tuple[Path, ...] = ()
    require_pins: bool | None = None
