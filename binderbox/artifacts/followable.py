"""Reads `[follow]` of versions.toml: what a node's follower may take by itself."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any

from binderbox.artifacts import versions


@dataclass(frozen=True)
class Follow:
    """Where the follower may take new versions from, and which: `[follow]` of versions.toml.

    A range is (at least, below); an image source is a repository without a tag; below chart_places charts may lie.
    guard_*: the same of cryptnono.
    """

    federation: str
    deploy_repo: str
    branch: str
    chart_index: str
    chart_places: tuple[str, ...]
    chart_range: tuple[str, str]
    build_image_range: tuple[str, str]
    image_sources: tuple[str, ...]
    guard_index: str
    guard_places: tuple[str, ...]
    guard_range: tuple[str, str]
    guard_sources: tuple[str, ...]


def load() -> Follow:
    """Read it from the versions that this binderbox was released with."""
    return parse(versions.text())


def parse(text: str) -> Follow:
    """Read it from TOML text; a broken one raises BundleError with all its faults."""
    table = tomllib.loads(text).get("follow", {})
    faults = [f"follow.{key}: is missing" for key in Follow.__dataclass_fields__ if key not in table]
    faults += [f"follow.{key}: unknown key" for key in table if key not in Follow.__dataclass_fields__]
    faults += [
        f"follow.{key}: expected https://"
        for key, places in (
            *((one, [table.get(one)]) for one in ("federation", "deploy_repo", "chart_index", "guard_index")),
            *((one, table.get(one, [])) for one in ("chart_places", "guard_places")),
        )
        if not all(str(place or "https://").startswith("https://") for place in places)
    ]
    for key in ("chart_range", "build_image_range", "guard_range"):
        if len(table.get(key, ("", ""))) != 2:
            faults.append(f"follow.{key}: expected [at least, below]")
    if faults:
        raise versions.broken(faults)
    found: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    return Follow(**found)
