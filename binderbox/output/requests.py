"""What the command line asks of the commands: frozen data, no behaviour."""

from __future__ import annotations

from collections.abc import Callable
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
