"""What `bundle create` does: asks the publishers, fetches every artifact, and writes the lock last.

By the rules by which an install from the Internet believes a checksum, and with the same readers; there is no node, so
nothing is recorded: the lock is the record.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from binderbox.artifacts import bundling, sources, versions
from binderbox.artifacts.bundling import BundlePart
from binderbox.artifacts.resolve import LOCK_NAME, Artifact, parse_lock
from binderbox.artifacts.versions import Pin
from binderbox.commands.artifacts.asking import ask
from binderbox.commands.artifacts.trusting import told_of
from binderbox.commands.bundle import directory as places
from binderbox.commands.bundle import inside
from binderbox.commands.bundle.bringing import bring
from binderbox.commands.bundle.packing import Packing
from binderbox.commands.bundle.registry import Registry
from binderbox.commands.bundle.telling import Trust, phase, result_of
from binderbox.errors import BundleError, ConfigError, UsageError
from binderbox.member.rules import certificate
from binderbox.output.progress import Progress
from binderbox.output.requests import BundleRequest
from binderbox.output.results import BundleResult
from binderbox.parts.fetch import fetching
from binderbox.world.bundle import read_lock
from binderbox.world.http.authorities import beside_the_systems
from binderbox.world.http.publishers import Publishers


def create(request: BundleRequest, progress: Progress) -> BundleResult:
    """Make a bundle, or go on with one; a whole one of the same versions is looked through and left as it is."""
    pins = versions.parse(_text(request.versions) if request.versions else versions.text(), request.arch)
    authorities = [_authority(file) for file in request.extra_ca]
    only = bool(authorities) if request.require_pins is None else request.require_pins
    if only:
        _refuse_unpinned(pins)
    if shutil.which("curl") is None:
        raise UsageError(
            "this machine has no curl, which fetches", remedy="install curl, then run this again"
        )
    with places.alone(request.directory), closing(Publishers(authorities)) as publishers:
        ours = (request.directory / LOCK_NAME).exists()
        if ours and (lock := _whole(request.directory, pins, progress)):
            return result_of(request.directory, lock, _trust(pins), changed=False)
        names = bundling.file_names(pins).values()
        filling = places.begin(request.directory, request.arch, pins, names, ours=ours)
        making = _Making(request, filling, publishers, _options(authorities, filling), progress)
        parts = bundling.parts(pins, making.vouched(pins))
        making.files([part for part in parts if not part.images])
        making.archives([part for part in parts if part.images])
        sums = {part.file: part.sha256 or inside.sum_of(request.directory / part.file) for part in parts}
        lock = bundling.render_lock(parts, sums)
        places.finish(request.directory, lock)
    return result_of(request.directory, lock, _trust(pins), changed=True)


@dataclass(frozen=True)
class _Making:
    request: BundleRequest
    filling: Path
    publishers: Publishers
    options: tuple[str, ...]
    progress: Progress

    def vouched(self, pins: Mapping[str, Pin]) -> dict[str, Artifact]:
        """Every artifact with a checksum: what is not pinned, its publisher is asked for."""
        found = sources.resolve(pins, {}, {})
        missing = sources.unknown(pins, found)
        if not missing:
            return found
        with phase(self.progress, "Ask the publishers") as counts:
            known = {name: one.sha256 for name, one in found.items() if one.trust}
            stated = ask(pins, missing, known, (("client", self.publishers),))
            found = sources.resolve(pins, {}, stated)
            sources.refuse_unknown(pins, found, pinned_only=False)
            counts.unchanged = len(found)
        for line in told_of(found, stated):
            self.progress.note(line)
        return found

    def files(self, parts: Sequence[BundlePart]) -> None:
        with phase(self.progress, "Fetch files") as counts:
            begun = self.filling / "files"
            wanted = [
                part for part in parts if inside.sum_of(self.request.directory / part.file) != part.sha256
            ]
            tasks = {begun / part.file: lambda part=part: self._file(part) for part in wanted}
            bring(tasks, {}, "the files", self.progress)
            for part in wanted:
                (begun / part.file).replace(self.request.directory / part.file)
            counts.changed, counts.unchanged = len(wanted), len(parts) - len(wanted)

    def _file(self, part: BundlePart) -> None:
        path = self.filling / "files" / part.file
        fetching.fetch(part.pin.source, part.sha256, str(path), options=self.options)

    def archives(self, parts: Sequence[BundlePart]) -> None:
        with phase(self.progress, "Fetch images") as counts:
            registry = Registry(self.publishers, self.options, self.filling / "tokens")
            packing = Packing(
                self.request.directory, self.filling, self.request.arch, registry, self.progress
            )
            counts.changed = packing.pack(parts)
            counts.unchanged = len(parts) - counts.changed


def _whole(directory: Path, pins: Mapping[str, Pin], progress: Progress) -> str:
    """The lock of a bundle that is whole and of these versions; empty where something of it must be made anew."""
    lock = read_lock(directory)
    entries = parse_lock(lock)
    places.refuse_another(directory, places.differences(entries, pins))
    places.tidy(directory)
    with phase(progress, "Look through the bundle") as counts:
        found = inside.faults(directory, entries, pins)
        counts.unchanged = len(entries)
    for fault in found:
        progress.note(fault)
    return "" if found else lock


def _refuse_unpinned(pins: Mapping[str, Pin]) -> None:
    try:
        sources.refuse_unknown(pins, sources.resolve(pins, {}, {}), pinned_only=True)
    except BundleError as error:
        raise BundleError(
            error.message,
            cause="--require-pins allows pinned artifacts alone, and so does --extra-ca: who ends TLS could state anything",
            remedy="name a file that pins them with --versions FILE, or say --no-require-pins",
        ) from error


def _trust(pins: Mapping[str, Pin]) -> dict[str, Trust]:
    return {name: "pinned" if pin.sha256 else "stated" for name, pin in pins.items()}


def _options(authorities: Sequence[str], filling: Path) -> tuple[str, ...]:
    """curl's: it takes a file of authorities in the place of the system's, so all of those are in it."""
    if not authorities:
        return ()
    file = filling / "authorities.pem"
    file.write_text(beside_the_systems(authorities), encoding="utf-8")
    os.chmod(file, 0o644)
    return ("--cacert", str(file))


def _authority(file: Path) -> str:
    try:
        return certificate(_text(file))
    except ValueError as error:
        raise ConfigError(
            f"--extra-ca {file}: expected a certificate authority {error}",
            remedy="name a file with the certificate, and without its key",
        ) from error


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}", remedy="name a file that is text") from error
