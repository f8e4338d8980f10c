"""Modules of this package as they travel to a node: under the names they have here, in a directory for PYTHONPATH."""

from __future__ import annotations

import hashlib
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
    """+ sha256: of its modules' paths and texts, in order, with a zero byte between any two of them"""

    version: str
    sha256: str


# What speaks HTTP/2 for the door (door/rpc.py). pyproject.toml asks for the same versions; nodes get these bytes alone.
LIBRARIES = {
    "h2": Library("4.4.1", "9164aa3449aa71df243f0a77ba93c3969eb272194043200783b253413d7c4c44"),
    "hpack": Library("4.2.0", "e32086eb7a99e47e130aa4d55894b58a0fbb287d6f6379c53d710554d4daba4c"),
    "hyperframe": Library("6.1.0", "cb37819fcec10261150d84a7cdd2fc016919ac6ea494b5919819e1a286cfdbe0"),
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


def library(name: str) -> dict[str, str]:
    """Path to text of every module of a library in plain Python, as it is installed here, with its licence.

    Raises BundleError where what is installed is not what this release was made with, to the byte: it runs as root on nodes.
    """
    wanted = LIBRARIES[name]
    own = distribution(name)
    texts = {
        f"{name}/{one.name}": one.read_text("utf-8")
        for one in sorted(files(name).iterdir(), key=lambda one: one.name)
        if one.name.endswith(".py")
    }
    sum_ = hashlib.sha256("\0".join(f"{path}\0{text}" for path, text in texts.items()).encode()).hexdigest()
    if (own.version, sum_) != (wanted.version, wanted.sha256):
        raise BundleError(
            f"{name} {own.version} of this Python has the sum {sum_[:12]}, and nodes get {wanted.version} with {wanted.sha256[:12]}",
            remedy=f"install it as it was published: python -m pip install --force-reinstall {name}=={wanted.version}",
        )
    licences = [one.read_text() for one in own.files or () if one.name == "LICENSE"]
    return texts | {f"{name}/LICENSE": text for text in licences[:1]}


def with_packages(modules: Mapping[str, str]) -> dict[str, str]:
    """The modules, and an empty `__init__.py` in each folder above them that has none of its own."""
    folders = {parent for path in modules for parent in PurePosixPath(path).parents if parent.name}
    inits = {str(folder / "__init__.py"): "" for folder in folders}
    return dict(sorted((inits | dict(modules)).items()))
