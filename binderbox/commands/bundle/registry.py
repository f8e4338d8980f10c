"""Images from their registries: what belongs to one, and each of its blobs into a file.

A token that a registry gives to everybody is good for minutes, so one is asked for anew; curl reads it from a file, and
keeps it to the host for which it is.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from binderbox.artifacts import manifests
from binderbox.artifacts.bundling import BundledImage
from binderbox.artifacts.statements import Unstated
from binderbox.commands.artifacts.registries import blob_url, manifest_at, manifest_url, token_for
from binderbox.output.requests import Ask
from binderbox.parts.fetch import fetching
from binderbox.parts.fetch.fetching import FetchFailed

TOKEN_S = 50  # one without a life of its own is good for 60: distribution's docs/content/spec/auth/token.md
TRIES = 3
WANTS_NONE = float("inf")


@dataclass(frozen=True)
class Contents:
    """What of an image goes into an archive: `texts` are its index and manifest by sha256, `blobs` all else."""

    image: BundledImage
    texts: dict[str, bytes]
    blobs: tuple[manifests.Blob, ...]


class Registry:
    """Asks by `ask`, and fetches by curl with these options; tokens are kept in `directory`."""

    def __init__(self, ask: Ask, options: tuple[str, ...], directory: Path) -> None:
        self._ask, self._options, self._directory = ask, options, directory
        self._asked_at_s: dict[str, float] = {}
        self._lock = threading.Lock()
        directory.mkdir(mode=0o700, exist_ok=True)

    def contents(self, image: BundledImage, arch: str) -> Contents:
        """Of one architecture; raises NoAnswer, and Unstated where it is not what was vouched for."""
        body = self._manifest(image, image.sha256)
        try:
            texts = {image.sha256: body}
            if manifests.is_index(body):
                of_arch = manifests.of_architecture(body, arch).sha256
                body = texts[of_arch] = self._manifest(image, of_arch)
            return Contents(image, texts, tuple(dict.fromkeys(manifests.children(body))))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unstated(f"{image.name}: {error}") from error

    def fetch(self, image: BundledImage, blob: manifests.Blob, path: Path) -> None:
        """Have one blob at `path`; raises FetchFailed, NoAnswer and Unstated."""
        url = blob_url(image.name, blob.sha256)
        for attempt in range(1, TRIES + 1):
            try:
                fetching.fetch(
                    url, blob.sha256, str(path), options=(*self._options, *self._token(image.name, url))
                )
                return
            except FetchFailed as error:
                # the token ended while a cut transfer was tried again
                if attempt == TRIES or "error: 401" not in str(error):
                    raise
                self._asked_at_s.pop(image.name, None)

    def _manifest(self, image: BundledImage, sha256: str) -> bytes:
        said, token = manifest_at(self._ask, manifest_url(image.name, sha256))
        found = hashlib.sha256(said.body).hexdigest()
        if found != sha256:
            raise Unstated(f"{image.name}: expected the manifest sha256:{sha256}, found sha256:{found}")
        self._keep(image.name, token)
        return said.body

    def _token(self, name: str, url: str) -> tuple[str, ...]:
        """curl's options that show a token, or none where the registry wants none."""
        with self._lock:
            if time.monotonic() - self._asked_at_s.get(name, -TOKEN_S) >= TOKEN_S:
                self._keep(name, token_for(self._ask, url))
        file = self._file(name)
        return ("--header", f"@{file}") if file.stat().st_size else ()

    def _keep(self, name: str, token: str) -> None:
        part = self._file(name).with_suffix(f".{threading.get_ident()}")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(f"Authorization: Bearer {token}\n" if token else "")
        part.replace(self._file(name))
        self._asked_at_s[name] = time.monotonic() if token else WANTS_NONE

    def _file(self, name: str) -> Path:
        return self._directory / hashlib.sha256(name.encode()).hexdigest()
