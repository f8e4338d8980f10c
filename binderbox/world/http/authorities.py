"""Whom this machine trusts, as one text: for a program that would take a site's own authorities in their place."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path

# Where distributions keep them all in one file, for a Python that looks elsewhere.
KNOWN = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def beside_the_systems(extra: Iterable[str]) -> str:
    """PEM text of the system's authorities, and these."""
    return "\n".join([*_systems(), *extra, ""])


def _systems() -> list[str]:
    paths = ssl.get_default_verify_paths()
    for name in (paths.cafile, paths.openssl_cafile, *KNOWN):
        if name and Path(name).is_file():
            return [_text(Path(name))]
    folder = Path(paths.capath or paths.openssl_capath)
    return [_text(file) for file in sorted(folder.glob("*.0"))] if folder.is_dir() else []


def _text(file: Path) -> str:
    return file.read_text("utf-8", errors="replace")
