"""Modules of this package as they travel to a node: under the names they have here, in a directory for PYTHONPATH."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import PurePosixPath

from binderbox.errors import BundleError

TOLD = (
    "parts.audit",
    "parts.events",
    "parts.telling",
    "parts.whole",
)  # how programs of a node say what they did


@dataclass(frozen=True)
class Library:
    """+ sha256: of its modules' paths and texts, in order, the licence last, with a zero byte between any two of them"""

    version: str
    sha256: str


# What speaks HTTP/2 for the door (door/rpc.py). pyproject.toml asks for the same versions; nodes get these bytes alone.
LIBRARIES = {
    "h2": Library("4.4.1", "ccf56cc8a6df9a0675959bcefa84090f946fb18ed4fec19396dbbb0920c37711"),
    "hpack": Library("4.2.0", "9fe78413dc7e25edbb419e71f7d8f0b12a9b4e3e2d7919f4885f64fca0ca0bcf"),
    "hyperframe": Library("6.1.0", "58f995223ba89af93513d57353761fc21eb5942698c77fb602fd7277242b0c96"),
}


def module(name: str) -> tuple[str, str]:
    """(path, text) of one module, by its name below `binderbox`."""
    folder, _, own = name.rpartition(".")
    path = PurePosixPath("binderbox", *folder.split("."), f"{own}.py")
    return str(path), (files(f"binderbox.{folder}".rstrip(".")) / path.name).read_text("utf-8")


def modules_of(package: str) -> dict[str, str]:
    """Path to text of every module of a package."""
    here = sorted(entry.name for entry in files(f"binderbox.{package}").iterdir())
    return dict(module(f"{package}.{name.removesuffix('.py')}") for name in here if name.endswith(".py"))


def libraries() -> dict[str, str]:
    """Path to text of every module of LIBRARIES as they are installed here, with their licences.

    Raises BundleError where one is not what this release was made with, to the byte: it runs as root on nodes.
    """
    return {path: text for name in LIBRARIES for path, text in _library(name).items()}


def _library(name: str) -> dict[str, str]:
    wanted = LIBRARIES[name]
    try:
        own = distribution(name)
        texts = {
            f"{name}/{one.name}": one.read_text("utf-8")
            for one in sorted(files(name).iterdir(), key=lambda one: one.name)
            if one.name.endswith(".py")
        }
        texts |= {f"{name}/LICENSE": one.read_text() for one in own.files or () if one.name == "LICENSE"}
        sum_ = _sum(texts)
        found = f"{own.version} with the sum {sum_[:12]}"
        good = (own.version, sum_) == (wanted.version, wanted.sha256)
    except (ModuleNotFoundError, FileNotFoundError):
        found, good = "none, or a part of it", False
    if not good:
        raise BundleError(
            f"nodes get {name} {wanted.version} with the sum {wanted.sha256[:12]}, and this Python has {found}",
            remedy="install it as it was published: "
            f"{sys.executable} -m pip install --force-reinstall --no-deps {name}=={wanted.version}",
        )
    return texts


def _sum(texts: Mapping[str, str]) -> str:
    return hashlib.sha256("\0".join(f"{path}\0{text}" for path, text in texts.items()).encode()).hexdigest()


def with_packages(modules: Mapping[str, str]) -> dict[str, str]:
    """The modules, and an empty `__init__.py` in each folder above them that has none of its own."""
    folders = {parent for path in modules for parent in PurePosixPath(path).parents if parent.name}
    inits = {str(folder / "__init__.py"): "" for folder in folders}
    return dict(sorted((inits | dict(modules)).items()))
