"""repo2docker packs the context of a build pack into memory before it hands it over: as much of it as the repository is large,
in a pod of 500 MB on a small node (2026.4, buildpacks/base.py). Here it notes what is to be packed, and that is packed while
it is sent. A repo2docker that packs in another way goes on as it does.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from . import context


class Packed(io.BytesIO):
    """The archive that repo2docker holds in its hands: empty, with what is to be in it."""

    noted: Noted | None = None


class Noted:
    """Of a TarFile that is written what repo2docker's build packs use."""

    def __init__(self) -> None:
        self._calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def add(self, *words: Any, **named: Any) -> None:
        if self._calls and self._calls[-1][2] == named:
            named = self._calls[-1][2]  # one for all of 300,000 files
        self._calls.append(("add", words, named))

    def addfile(self, *words: Any, **named: Any) -> None:
        self._calls.append(("addfile", words, named))

    def close(self) -> None:
        pass

    def send(self, send: Callable[[bytes], None]) -> None:
        """Pack it now, relative names as of now: repo2docker is in the repository until the build has ended."""
        with context.packing(send) as tar:
            for name, words, named in self._calls:
                getattr(tar, name)(*words, **named)


def _open(*words: Any, fileobj: Any = None, **named: Any) -> Any:
    if isinstance(fileobj, Packed) and not words and named == {"mode": "w"}:
        fileobj.noted = Noted()
        return fileobj.noted
    return tarfile.open(*words, fileobj=fileobj, **named)


def note(module: Any) -> None:
    """Have a module of repo2docker's note what it would pack."""
    if getattr(module, "io", None) is io and getattr(module, "tarfile", None) is tarfile:
        module.io = SimpleNamespace(**{**vars(io), "BytesIO": Packed})
        module.tarfile = SimpleNamespace(**{**vars(tarfile), "open": _open})
