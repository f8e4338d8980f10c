"""A disk of a rig host's own, of a size: a sparse file with one file system, that volumes of the host are on.

Without one a host shares this machine's disk with everything else, and a full disk cannot be had.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from binderbox.world.containers import Engine


class Disk:
    """Below `directory`: the file, and where it is mounted. `used_bytes` is what is in use of it."""

    def __init__(self, directory: Path, name: str = "disk") -> None:
        self._file = directory / f"{name}.img"
        self.mounted_at = directory / name

    @classmethod
    def make(cls, directory: Path, size_gb: int, name: str = "disk") -> Disk:
        """Without a journal; what is deleted is this machine's again."""
        one = cls(directory, name)
        one.mounted_at.mkdir()
        with one._file.open("wb") as file:
            file.truncate(size_gb * 10**9)
        _run("mkfs.ext4", "-q", "-O", "^has_journal", "-m", "0", str(one._file))
        _run("mount", "-o", "loop,discard", str(one._file), str(one.mounted_at))
        return one

    def volume(self, engine: Engine, name: str, label: str) -> None:
        """A volume of the engine that is a directory of this disk."""
        directory = self.mounted_at / name
        directory.mkdir()
        words = ["--label", label, "--driver", "local", "--opt", "type=none", "--opt", "o=bind"]
        engine.run("volume", "create", *words, "--opt", f"device={directory}", name)

    def remove(self) -> None:
        """Whatever still uses it; nothing to do without one."""
        if self.mounted_at.is_mount():
            _run("umount", "--lazy", str(self.mounted_at))
        self._file.unlink(missing_ok=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
