"""Reads versions.toml: every pinned version with its source and, once somebody could verify it, its checksum.

`text()` is the file of the package, `parse` reads any such text; a broken one raises BundleError with all its faults.
A table holds what is true of amd64, a table `NAME.arm64` in it what differs there. `with_checksum` is the hosted job's
edit: one line in, everything else as it stood.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal, get_args

from binderbox.errors import BundleError

Kind = Literal["file", "tar", "image", "chart"]
SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
ARCHITECTURES = ("amd64", "arm64")
_TEXTS = ("version", "source", "sha256", "checksum_url", "images_of", "of")
_SWITCHES = ("by_tag",)
_BY_ARCHITECTURE = ("source", "sha256", "checksum_url")


@dataclass(frozen=True)
class Pin:
    """One artifact as pinned. `sha256` is None until verified: of the file, or of an image's manifest.

    `images_of` names the chart whose images it stands for; then `source` is no address. `of` is the chart that runs this
    image: tables with it take the place of one with `images_of`. `features` are what it can beyond its version.
    """

    name: str
    kind: Kind
    version: str
    source: str
    sha256: str | None = None
    checksum_url: str | None = None
    by_tag: bool = False
    images_of: str = ""
    of: str = ""
    features: tuple[str, ...] = ()


def text() -> str:
    """The versions that this binderbox was released with."""
    return resources.files("binderbox.artifacts").joinpath("versions.toml").read_text("utf-8")


def load(arch: str = "amd64") -> dict[str, Pin]:
    """Read them."""
    return parse(text(), arch)


def parse(text: str, arch: str = "amd64") -> dict[str, Pin]:
    """Read the pins of one architecture from TOML text, in the order of the file."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise broken([str(error)]) from error
    faults: list[str] = []
    if tables.pop("schema", None) != 1:
        faults.append("schema: expected 1")
    tables.pop("follow", None)  # see followable
    pins: dict[str, Pin] = {}
    for name, table in tables.items():
        found = _table_faults(name, table)
        if not found:
            others = {one: table.pop(one, {}) for one in ARCHITECTURES}
            features = tuple(table.pop("features", ()))
            pins[name] = Pin(name=name, **{**table, **others[arch]}, features=features)
        faults += found
    charts = {one.name for one in pins.values() if one.kind == "chart"}
    for one in pins.values():
        for key, chart in (("images_of", one.images_of), ("of", one.of)):
            if chart and chart not in charts:
                faults.append(f"{one.name}.{key}: expected the name of a chart here, found {chart!r}")
    if faults:
        raise broken(faults)
    return pins


def _table_faults(name: str, table: Any) -> list[str]:
    if not isinstance(table, Mapping):
        return [f"{name}: expected a table"]
    known = ("kind", "features", *_TEXTS, *_SWITCHES, *ARCHITECTURES)
    faults = [f"{name}.{key}: unknown key" for key in table if key not in known]
    for arch in ARCHITECTURES:
        faults += _other_faults(f"{name}.{arch}", table.get(arch, {}))
    if not _NAME.fullmatch(name):
        faults.append(f"{name}: a name has small letters, digits and single hyphens")
    if table.get("kind") not in get_args(Kind):
        faults.append(
            f"{name}.kind: expected one of {', '.join(get_args(Kind))}, found {table.get('kind')!r}"
        )
    for key in _TEXTS:
        value = table.get(key)
        if value is None and key in ("version", "source"):
            faults.append(f"{name}.{key}: is missing")
        elif value is not None and (not isinstance(value, str) or not value.strip()):
            faults.append(f"{name}.{key}: expected text, found {value!r}")
    faults += [
        f"{name}.{key}: expected true or false"
        for key in _SWITCHES
        if not isinstance(table.get(key, False), bool)
    ]
    features = table.get("features", [])
    if not isinstance(features, list) or not all(isinstance(one, str) for one in features):
        faults.append(f"{name}.features: expected a list of words")
    sha256 = table.get("sha256")
    if isinstance(sha256, str) and not SHA256.fullmatch(sha256):
        faults.append(f"{name}.sha256: expected 64 small hex digits")
    if sha256 is None and not table.get("checksum_url") and not table.get("images_of"):
        faults.append(f"{name}: neither a sha256 nor the checksum_url of its publisher")
    for key in ("source", "checksum_url"):
        value = table.get(key)
        if isinstance(value, str) and "://" in value and not value.startswith("https://"):
            faults.append(f"{name}.{key}: expected https://")
    return faults


def _other_faults(place: str, table: Any) -> list[str]:
    if not isinstance(table, Mapping):
        return [f"{place}: expected a table"]
    faults = [f"{place}.{key}: unknown key" for key in table if key not in _BY_ARCHITECTURE]
    faults += [f"{place}.{key}: expected text" for key, value in table.items() if not isinstance(value, str)]
    faults += [
        f"{place}.{key}: expected https://"
        for key in ("source", "checksum_url")
        if not str(table.get(key, "https://")).startswith("https://")
    ]
    if not SHA256.fullmatch(str(table.get("sha256", "0" * 64))):
        faults.append(f"{place}.sha256: expected 64 small hex digits")
    return faults


def with_checksum(text: str, name: str, sha256: str) -> str:
    """Return the text of versions.toml with `sha256` in table `name`, replacing one that is there."""
    if not SHA256.fullmatch(sha256):
        raise BundleError(f"{name}: {sha256!r} is no sha256", remedy="give 64 small hex digits")
    if name not in parse(text):
        raise BundleError(f"{name}: no such artifact in versions.toml", remedy="name one of its tables")
    lines = text.splitlines(keepends=True)
    start = next(i for i, line in enumerate(lines) if re.fullmatch(rf"\[{re.escape(name)}\]\s*", line))
    stop = next((i for i in range(start + 1, len(lines)) if lines[i].startswith("[")), len(lines))
    body = [line for line in lines[start:stop] if not re.match(r"sha256\s*=", line)]
    after = next(i for i, line in enumerate(body) if re.match(r"source\s*=", line)) + 1
    body.insert(after, f'sha256 = "{sha256}"\n')
    changed = "".join([*lines[:start], *body, *lines[stop:]])
    parse(changed)
    return changed


def broken(faults: list[str]) -> BundleError:
    """All faults of such a text at once."""
    return BundleError(
        "versions.toml is broken:\n" + "\n".join(faults),
        cause="it is binderbox's own, or the one that --versions names",
        remedy="mend the file that --versions names, or install binderbox again",
    )
