"""Modules of this package as they travel to a node: under the names they have here, in a directory for PYTHONPATH."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import PurePosixPath

TOLD = (
    "parts.audit",
    "parts.events",
    "parts.telling",
    "parts.whole",
)  # how programs of a node say what they did


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
    """Path to text of every module of a library in plain Python, as it is installed here, with its licence."""
    own = distribution(name)
    wanted = [one for one in own.files or () if one.parts[0] == name and one.suffix == ".py"]
    licences = [one for one in own.files or () if one.name == "LICENSE"]
    if not wanted or not licences:
        raise FileNotFoundError(f"{name} {own.version} has no modules and licence of its own")
    return {str(one): one.read_text() for one in wanted} | {f"{name}/LICENSE": licences[0].read_text()}


def with_packages(modules: Mapping[str, str]) -> dict[str, str]:
    """The modules, and an empty `__init__.py` in each folder above them that has none of its own."""
    folders = {parent for path in modules for parent in PurePosixPath(path).parents if parent.name}
    inits = {str(folder / "__init__.py"): "" for folder in folders}
    return dict(sorted((inits | dict(modules)).items()))
