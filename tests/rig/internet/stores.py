"""What registries hold: an image of the rig, pushed once to a real registry, whose storage is kept as a cached part."""

from __future__ import annotations

import json
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

from tests.rig import binaries
from tests.rig.cache import cached, recipe_of
from tests.rig.internet.distribution import Distribution
from tests.rig.ociarchive import MANIFEST


def manifest_sha256(archive: Path) -> str:
    """The digest of the one image in an archive, which does not depend on its name, in hex."""
    with tarfile.open(archive) as tar:
        (described,) = json.load(_member(tar, "index.json"))["manifests"]
    return str(described["digest"]).removeprefix("sha256:")


def stored(archive: Path, names: Sequence[str]) -> Path:
    """The storage of a registry that has the archive's image under these names, each REPOSITORY:TAG."""

    def build(into: Path) -> None:
        with tempfile.TemporaryDirectory() as run, Distribution(into, Path(run)) as registry:
            for name in names:
                _push(registry, archive, *name.split(":"))

    recipe = recipe_of(binaries.registry().parent.name, archive.parent.name, *names, "1")
    return cached(f"stored-{archive.stem}", recipe, build, 3, f"the store of {', '.join(names)}")


def join(stores: Iterable[Path], into: Path) -> None:
    """One storage with all that these have, by links to their files."""
    for store in stores:
        for file in (one for one in store.rglob("*") if one.is_file()):
            link = into / file.relative_to(store)
            if not link.is_symlink():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file)


def blob_file(storage: Path, digest: str) -> Path:
    """Where a registry keeps a blob."""
    sha256 = digest.removeprefix("sha256:")
    return storage / f"docker/registry/v2/blobs/sha256/{sha256[:2]}/{sha256}/data"


def _push(registry: Distribution, archive: Path, repository: str, tag: str) -> None:
    with tarfile.open(archive) as tar:
        manifest = _member(tar, f"blobs/sha256/{manifest_sha256(archive)}").read()
        parts = json.loads(manifest)
        for part in (parts["config"], *parts["layers"]):
            blob = _member(tar, f"blobs/sha256/{part['digest'].removeprefix('sha256:')}")
            _push_blob(registry, repository, part, blob)
    put = registry.ask("PUT", f"/v2/{repository}/manifests/{tag}", manifest, {"Content-Type": MANIFEST})
    _must(put.status == 201, put.read())


def _push_blob(registry: Distribution, repository: str, part: dict[str, Any], blob: IO[bytes]) -> None:
    begun = registry.ask("POST", f"/v2/{repository}/blobs/uploads/")
    _must(begun.status == 202, begun.read())
    where = begun.headers["Location"]
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(part["size"])}
    done = registry.ask("PUT", f"{where}&digest={part['digest']}", blob, headers)
    _must(done.status == 201, done.read())


def _must(well: bool, said: bytes) -> None:
    if not well:
        raise RuntimeError(f"the registry did not take it: {said.decode(errors='replace')}")


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    file = tar.extractfile(name)
    if file is None:
        raise ValueError(f"no {name} in {tar.name!r}")
    return file
