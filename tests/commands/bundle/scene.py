"""Somebody who makes a bundle from the rig's Internet, by the program itself."""

from __future__ import annotations

import json
import subprocess
import tarfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from binderbox.artifacts import versions
from binderbox.artifacts.resolve import LOCK_NAME
from binderbox.artifacts.versions import Pin
from tests.rig.client import PROGRAM, Client
from tests.rig.internet.world import World
from tests.rig.ociarchive import sha256_of

SOME = ("helm", "registry", "binderhub-chart")  # 40 MB: a file, an image of docker.io, a chart


@dataclass(frozen=True)
class Scene:
    internet: World
    home: Path
    address: str

    @property
    def versions(self) -> Path:
        return self.home / "versions.toml"

    @property
    def directory(self) -> Path:
        return self.home / "bundle"

    @property
    def pins(self) -> dict[str, Pin]:
        return versions.parse(self.versions.read_text())

    def ask_for(self, names: Iterable[str], *, pinned: bool, **changed: dict[str, str]) -> None:
        """Write the pins of these; `changed` are keys of a table, by its name."""
        tables = tomllib.loads(self.internet.versions(pinned=pinned))
        kept = {name: tables[name] | changed.get(name, {}) for name in names}
        self.versions.write_text(tomli_w.dumps({"schema": 1, **kept}))

    def words(self, *words: str) -> list[str]:
        (self.home / "ca.pem").write_text(self.internet.ca_pem)
        client = Client(self.home, self.address)
        given = ["--versions", str(self.versions), "--extra-ca", str(self.home / "ca.pem"), "--json", *words]
        return [*client.elsewhere(), PROGRAM, "bundle", "create", str(self.directory), *given]

    def start(self, *words: str) -> subprocess.Popen[str]:
        """`bundle create` with a process group of its own."""
        return subprocess.Popen(
            self.words(*words), cwd=self.home, text=True, start_new_session=True, stdout=subprocess.PIPE
        )

    def create(self, *words: str, code: int = 0) -> dict[str, Any]:
        """The result of `bundle create`."""
        return self.ended(
            subprocess.run(self.words(*words), cwd=self.home, capture_output=True, text=True), code
        )

    def verify(self, code: int = 0) -> dict[str, Any]:
        """The result of `bundle verify`, which needs no Internet."""
        words = [PROGRAM, "bundle", "verify", str(self.directory), "--json"]
        return self.ended(subprocess.run(words, cwd=self.home, capture_output=True, text=True), code)

    def ended(self, done: subprocess.CompletedProcess[str], code: int) -> dict[str, Any]:
        from tests.output.schemas import validate_output

        assert done.returncode == code, done.stdout + done.stderr
        return validate_output(done.stdout, "bundle")

    def lock(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.directory / LOCK_NAME).read_text())["artifacts"]
        return found

    def write_lock(self, entries: list[dict[str, Any]]) -> None:
        """A lock whose sums are those of the files, as somebody writes it who changed both."""
        for entry in entries:
            entry["sha256"] = sha256_of(self.directory / entry["file"])
        (self.directory / LOCK_NAME).write_text(json.dumps({"schema": 1, "artifacts": entries}))


def digests(archive: Path) -> dict[str, str]:
    """Name to digest of each image in an archive, as containerd reads it."""
    with tarfile.open(archive) as tar:
        index = json.loads(tar.extractfile("index.json").read())  # type: ignore[union-attr]
    return {
        one["annotations"]["io.containerd.image.name"]: one["digest"].removeprefix("sha256:")
        for one in index["manifests"]
    }
