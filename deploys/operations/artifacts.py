"""Artifacts on the node: each at /var/lib/binderbox/artifacts/<sha256>/<file name>, put there once and verified.

    artifacts.place(name="fetch k3s", artifact=k3s, bundle=bundle)
    artifacts.installed(name="install k3s", source=artifacts.path_of(k3s), dest=layout.K3S)
    members = {"bin/buildctl": f"{layout.BIN}/buildctl"}
    artifacts.extract(name="unpack buildkit", archive=artifacts.path_of(buildkit), members=members)

From a bundle the file is checked before it is sent (BundleError), of an image that is pinned also what lies inside; from
its URL the node fetches it, or waits for the one that already does. Either way the node checks the sha256 before the file gets its name, so a wrong one is never used.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import shlex
from collections.abc import Generator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from pyinfra import host
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation

from binderbox import layout
from binderbox.artifacts import archives
from binderbox.deploys.facts.artifacts import MARKED, ArtifactStates, Extracted
from binderbox.deploys.facts.states import Below
from binderbox.errors import BundleError
from binderbox.parts.fetch import program

Commands = Generator[StringCommand | FileUploadCommand, None, None]
SHORT = 16  # digits of a checksum in the name of an archive
PLACE_S = 4 * 3600  # longer than the node's own bound, which tells why


class Artifact(Protocol):
    """What this module needs of an artifact: see binderbox.artifacts.resolve."""

    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def file(self) -> str | None: ...
    @property
    def url(self) -> str | None: ...
    @property
    def manifest(self) -> str | None: ...
    @property
    def images(self) -> tuple[str, ...]: ...


def path_of(artifact: Artifact) -> str:
    """Where an artifact lies on the node."""
    source = artifact.file or urlsplit(artifact.url or "").path
    return f"{layout.ARTIFACTS}/{artifact.sha256}/{posixpath.basename(source) or artifact.name}"


@operation()
def place(artifact: Artifact, bundle: Path | None, dest: str | None = None) -> Commands:
    """Bring one artifact to the node, from the bundle directory or from its URL; `dest` None: where path_of says."""
    path = dest or path_of(artifact)
    if host.get_fact(ArtifactStates, wanted={path: artifact.sha256})[path]:
        return
    if bundle is not None and artifact.file:
        source = _checked_source(artifact, bundle)
        part = f"{path}.part"
        directory = shlex.quote(os.path.dirname(path))
        yield StringCommand(f"mkdir -p {directory} && rm -f {directory}/.bbx-* {shlex.quote(part)}")
        yield FileUploadCommand(str(source), part)
        yield StringCommand(_accept(artifact, path, part))
    elif artifact.url:
        yield StringCommand(*fetching("file", artifact.url, artifact.sha256, path))
    else:
        raise BundleError(
            f"artifact {artifact.name} has no source",
            cause="it came from a bundle, and no bundle with it was given",
            remedy="run the same command again with --bundle DIR; binderbox bundle create DIR makes one",
        )


@operation()
def only(wanted: tuple[str, ...]) -> Commands:
    """Remove artifacts, and archives of images in k3s's folder, of other checksums than these; one round trip to look.

    What is named otherwise is nobody's of ours.
    """
    below = host.get_fact(Below, directories=(layout.ARTIFACTS, layout.K3S_IMAGES))
    short = {sha256[:SHORT] for sha256 in wanted}
    gone = set[str]()
    for path in below:
        directory, _, name = path.rpartition("/")
        if directory == layout.ARTIFACTS and re.fullmatch(r"[0-9a-f]{64}", name) and name not in wanted:
            gone.add(path)
        archive = re.fullmatch(rf".+-([0-9a-f]{{{SHORT}}})\.(?:tar|ok)\b.*", name)
        if directory == layout.K3S_IMAGES and archive and archive[1] not in short:
            gone.add(path)
    if gone:
        yield StringCommand(shlex.join(["rm", "-rf", "--one-file-system", "--", *sorted(gone)]))


def fetching(*words: str) -> tuple[QuoteString | str, ...]:
    """The node's own program that fetches, with its arguments: see binderbox.parts.fetch."""
    return (*program.WORDS, *map(QuoteString, words))


@operation()
def installed(source: str, dest: str, mode: int = 0o755) -> Commands:
    """Make `dest` a copy of a placed artifact, replaced by rename so that a running program is not disturbed."""
    if host.get_fact(Extracted, archive=source, stamp=_stamp([dest]), targets=[dest]):
        return
    yield StringCommand(_swap_in(f"cp {shlex.quote(source)} $d/0", [(dest, "0")], mode, source))


@operation()
def extract(archive: str, members: Mapping[str, str], mode: int = 0o755) -> Commands:
    """Take files out of a placed tar archive: `members` is name in the archive to path on the node."""
    targets = list(members.values())
    if host.get_fact(Extracted, archive=archive, stamp=_stamp(targets), targets=targets):
        return
    unpack = f"tar -xf {shlex.quote(archive)} -C $d --no-same-owner {shlex.join(members)}"
    yield StringCommand(
        _swap_in(unpack, [(target, member) for member, target in members.items()], mode, archive)
    )


def _accept(artifact: Artifact, path: str, part: str) -> str:
    """sh text: check the arrived file, give it its name, mark it as verified."""
    wrong = f"artifact {artifact.name}: expected sha256 $s, found $1"
    return (
        f"p={shlex.quote(path)}; t={shlex.quote(part)}; s={shlex.quote(artifact.sha256)}; "
        f'set -- $(sha256sum <"$t"); [ "$1" = "$s" ] || {{ echo "{wrong}" >&2; rm -f "$t"; exit 1; }}; '
        f'chmod 644 "$t" && sync "$t" && mv -fT "$t" "$p" && {MARKED} >"$p.ok"'
    )


def _swap_in(fill: str, moves: list[tuple[str, str]], mode: int, archive: str) -> str:
    """sh text: fill a temporary directory, move each file to its place, remember how they look."""
    lines = [
        f"d=$(mktemp -d {layout.ARTIFACTS}/.x-XXXXXX) || exit 1",
        "trap 'rm -rf $d' EXIT",
        f"{fill} || exit 1",
    ]
    for target, member in moves:
        new = shlex.quote(f"{target}.bbx-new")
        lines += [
            f"mkdir -p {shlex.quote(os.path.dirname(target))} || exit 1",
            f"install -m {mode:o} $d/{shlex.quote(member)} {new} && mv -fT {new} {shlex.quote(target)} || exit 1",
        ]
    targets = [target for target, _ in moves]
    stamp = shlex.quote(f"{archive}.{_stamp(targets)}")
    lines.append(f"stat -c '%s %a %y %n' {shlex.join(targets)} >{stamp}")
    return "\n".join(lines)


def _stamp(targets: list[str]) -> str:
    return f"to-{hashlib.sha256(chr(0).join(targets).encode()).hexdigest()[:12]}"


def _checked_source(artifact: Artifact, bundle: Path) -> Path:
    source = bundle / str(artifact.file)
    if not source.is_file():
        raise BundleError(
            f"artifact {artifact.name} is not in the bundle",
            cause=f"{source} does not exist; its sha256 is to be {artifact.sha256}",
            remedy=f"binderbox bundle verify {bundle} lists all that is missing; binderbox bundle create makes one anew",
        )
    stat = source.stat()
    looks = (source, stat.st_size, stat.st_mtime_ns)
    found = _file_sha256(*looks)
    faults = [] if found == artifact.sha256 else [f"expected sha256 {artifact.sha256}, found {found}"]
    if not faults and artifact.manifest:
        faults = _archive_faults(*looks, artifact.images, artifact.manifest)
    if faults:
        raise BundleError(
            f"artifact {artifact.name} in the bundle is not what it shall be; it was not used",
            cause="\n".join(f"{source}: {fault}" for fault in faults),
            remedy=f"binderbox bundle verify {bundle} lists all that is wrong; binderbox bundle create makes one anew",
        )
    return source


@lru_cache(maxsize=64)
def _file_sha256(path: Path, _size: int, _mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=64)
def _archive_faults(
    path: Path, _size: int, _mtime_ns: int, images: tuple[str, ...], manifest: str
) -> list[str]:
    with path.open("rb") as file:
        return archives.faults(file, dict.fromkeys(images, manifest))
