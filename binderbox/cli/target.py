"""HOST on the command line: an ssh destination, or the word `demo`; and the config file that belongs to it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import click

from binderbox.errors import UsageError
from binderbox.output.requests import Connection, Sources

DEMO = "demo"
_SUM = re.compile(r"[0-9a-fA-F]{64}")


def connection(
    host: str, ssh_config: Path | None, *, ask_sudo: bool = False, address: str | None = None
) -> Connection:
    """How to reach HOST. Raises UsageError for what cannot be a destination, or when no demo host runs."""
    if address is not None and not _is_address(address):
        raise UsageError(
            f"--address {address}: needed is the IP address at which this machine reaches the host's web ports",
            remedy=f"binderbox check {host} --address 192.0.2.10",
        )
    if not host or host.startswith("-") or any(not c.isprintable() or c.isspace() for c in host):
        raise UsageError(
            f"{host!r} is no ssh destination",
            cause="needed: a name, user@name, ssh://user@name:port, or an alias of your ssh config",
            remedy="binderbox check host.example",
        )
    if host == DEMO and ssh_config is None:
        from binderbox.commands import demo_files as demo  # its keys take a while to import

        ssh_config = demo.resolve(host)[1]
    return Connection(host, ssh_config, _sudo_password(host, ask_sudo), address)


def sources(
    host: str,
    config: Path | None,
    versions: Path | None = None,
    bundle: Path | None = None,
    bundle_sha256: str | None = None,
) -> Sources:
    """Where config and artifacts come from: what was given, else ./HOST.yaml, else what the host holds."""
    if bundle_sha256 is not None and not _SUM.fullmatch(bundle_sha256):
        raise UsageError(
            f"--bundle-sha256 {bundle_sha256}: needed are the 64 hexadecimal digits of the lock file's checksum",
            remedy="sha256sum BUNDLE/bundle.lock.json",
        )
    if config is None and config_file(host).is_file():
        config = config_file(host)
    return Sources(config, bundle, bundle_sha256.lower() if bundle_sha256 else None, versions)


def accepted(given: Iterable[str]) -> dict[str, str]:
    """NAME=SHA256 of each --accept, as a mapping."""
    found: dict[str, str] = {}
    for one in given:
        name, _, sum_ = one.partition("=")
        digits = sum_.removeprefix("sha256:")
        if not name or not _SUM.fullmatch(digits):
            raise UsageError(
                f"--accept {one}: needed are an artifact's name and the 64 hexadecimal digits of its checksum",
                remedy="binderbox artifacts HOST lists both",
            )
        found[name] = digits.lower()
    return found


def config_file(host: str) -> Path:
    """The file that `init` writes for a host: `ssh://root@host.example:2222` -> `host.example.yaml`."""
    return Path(f"{host_name(host)}.yaml")


def host_name(host: str) -> str:
    """The destination without user, scheme and port, fit for a file name."""
    name = urlsplit(host).hostname if "://" in host else host.rpartition("@")[2]
    return (name or host).replace("/", "-")


def _is_address(text: str) -> bool:
    from ipaddress import ip_address

    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _sudo_password(host: str, ask: bool) -> str | None:
    given = os.environ.get("BINDERBOX_SUDO_PASSWORD")
    if given or not ask:
        return given or None
    if not sys.stdin.isatty():
        raise UsageError(
            "--ask-sudo needs a terminal to ask on",
            remedy="set BINDERBOX_SUDO_PASSWORD, or run it in a terminal",
        )
    password: str = click.prompt(f"Password for sudo on {host}", hide_input=True, err=True)
    return password
