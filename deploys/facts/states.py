"""Facts about many paths at once: one round trip, two processes, however many files.

Paths are absolute, without newline, tab or backslash (ValueError). The commands only read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pyinfra.api import FactBase, QuoteString

from binderbox.world.pyinfra.connector import Looking

Kind = Literal["file", "directory", "link", "other", "absent"]
_KINDS: dict[str, Kind] = {"f": "file", "d": "directory", "l": "link"}


@dataclass(frozen=True)
class PathState:
    """What is at a path. `mode` as an octal number (0o644); `sha256` of files only, `target` of links only."""

    kind: Kind = "absent"
    mode: int = 0
    user: str = ""
    group: str = ""
    size: int = 0
    target: str = ""
    sha256: str = ""


class FileStates(FactBase[dict[str, PathState]]):
    """Path to PathState, for every path asked about; contents are compared by their sha256."""

    def command(self, paths: Sequence[str]) -> Looking:
        """Ask about `paths`."""
        self._paths = list(paths)
        quoted = [QuoteString(checked(path)) for path in paths]
        show = ["-maxdepth", "0", "-printf", r"'%y\t%m\t%u\t%g\t%s\t%p\t%l\n'", "2>/dev/null;"]
        hashes = [
            "-maxdepth",
            "0",
            "-type",
            "f",
            "-exec",
            "sha256sum",
            "--",
            "{}",
            "+",
            "2>/dev/null;",
            "true",
        ]
        return Looking("find", *quoted, *show, "find", *quoted, *hashes)

    def process(self, output: list[str]) -> dict[str, PathState]:
        """The two listings to states."""
        hashes = {
            found[2]: found[1] for line in output if (found := re.match(r"([0-9a-f]{64})  (/.*)$", line))
        }
        states = dict.fromkeys(self._paths, PathState())
        for line in output:
            parts = line.split("\t")
            if len(parts) != 7:
                continue
            kind, mode, user, group, size, path, target = parts
            states[path] = PathState(
                _KINDS.get(kind, "other"), int(mode, 8), user, group, int(size), target, hashes.get(path, "")
            )
        return states

    def default(self) -> dict[str, PathState]:  # type: ignore[override]
        """Nothing is there."""
        return dict.fromkeys(self._paths, PathState())


class Below(FactBase[list[str]]):
    """Paths of everything below directories, directories too; what is not there has nothing below it."""

    def command(self, directories: Sequence[str]) -> Looking:
        """Ask about `directories`."""
        quoted = [QuoteString(checked(path)) for path in directories]
        return Looking("find", *quoted, "-mindepth", "1", "-print", "2>/dev/null;", "true")

    def process(self, output: list[str]) -> list[str]:
        """One path a line."""
        return list(output)

    @staticmethod
    def default() -> list[str]:
        """Nothing."""
        return []


class FileText(FactBase[str]):
    """A file's text, for a diff; empty when it is absent or larger than 200 kB."""

    def command(self, path: str) -> Looking:
        """Ask for one file."""
        return Looking("head", "-c", "200000", QuoteString(checked(path)), "2>/dev/null", "||", "true")

    def process(self, output: list[str]) -> str:
        """Its lines, joined."""
        return "\n".join(output) + "\n"

    @staticmethod
    def default() -> str:
        """No text."""
        return ""


def checked(path: str) -> str:
    """The path itself, if the facts of this file can name it without doubt."""
    if not path.startswith("/") or re.search(r"[\n\t\\]", path):
        raise ValueError(f"not a path these facts can name: {path!r}")
    return path
