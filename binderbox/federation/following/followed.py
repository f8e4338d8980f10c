"""followed.toml: the pins that the node's follower proved, and those that failed its proof. Pure, standard library only.

The follower writes it and every install reads it: what stands in `[followed]` is taken in the place of versions.toml
and of a bundle. The text is TOML in which each value is a JSON string on one line, because the node's Python may have
no TOML reader (3.10); `parse` reads that much and no more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA = "1"
KEPT_FAILURES = 8
CHART, BUILD_IMAGE = "binderhub-chart", "repo2docker"  # the artifacts of versions.toml that are followed
CHART_IMAGES = "binderhub-images"  # what a bundle brings for the pinned chart; a followed one brings its own
GUARD_CHART, GUARD_IMAGES = "cryptnono-chart", "cryptnono-images"  # the same of the guard's
HEAD = """\
# Written by the follower on this node alone, after its own proof. An install takes [followed] in the place of its own
# pins, so that an older binderbox or bundle does not undo it. `binderbox federation follow HOST` explains it.
"""
_LINE = re.compile(r'(?P<key>[a-z0-9_]+|"(?:[^"\\]|\\.)*") = (?P<value>".*")')
_TABLE = re.compile(r"\[(?P<name>[a-z_]+)(?:\.(?P<at>\d+))?\]")


@dataclass(frozen=True)
class Followed:
    """Pins that were proved here. `images` is name to digest (`sha256:...`) of every image of the chart, and of builds."""

    commit: str
    chart: str
    chart_source: str
    chart_sha256: str
    build_image: str
    proved_at: str
    images: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """Pins that did not pass the proof and are not tried again by themselves."""

    commit: str
    chart: str
    build_image: str
    at: str
    why: str


@dataclass(frozen=True)
class Guard:
    """cryptnono's chart as it was proved here, with what its images are, as in Followed."""

    commit: str
    chart: str
    chart_source: str
    chart_sha256: str
    proved_at: str
    images: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FailedGuard:
    """A chart of cryptnono's that did not pass the proof and is not tried again by itself."""

    commit: str
    chart: str
    at: str
    why: str


@dataclass(frozen=True)
class Record:
    """The whole file; an absent one is `Record()`."""

    followed: Followed | None = None
    failed: tuple[Failed, ...] = ()
    guard: Guard | None = None
    guard_failed: tuple[FailedGuard, ...] = ()

    def failure_of(self, chart: str, build_image: str) -> Failed | None:
        return next(
            (one for one in self.failed if (one.chart, one.build_image) == (chart, build_image)), None
        )


def render(record: Record) -> str:
    lines = [HEAD, f"schema = {_quoted(SCHEMA)}"]
    proved: tuple[tuple[str, str, Followed | Guard | None], ...] = (
        ("followed", "images", record.followed),
        ("guard", "guard_images", record.guard),
    )
    for table, of_images, pins in proved:
        if pins:
            fields = {key: value for key, value in vars(pins).items() if key != "images"}
            images = pins.images
            lines += _table(table, fields)
            lines += [
                "",
                f"[{of_images}]",
                *(f"{_quoted(name)} = {_quoted(images[name])}" for name in sorted(images)),
            ]
    for at, failure in enumerate(record.failed[-KEPT_FAILURES:]):
        lines += _table(f"failed.{at}", asdict(failure))
    for at, of_guard in enumerate(record.guard_failed[-KEPT_FAILURES:]):
        lines += _table(f"guard_failed.{at}", asdict(of_guard))
    return "\n".join(lines) + "\n"


def _table(name: str, fields: Mapping[str, str]) -> list[str]:
    return ["", f"[{name}]", *(f"{key} = {_quoted(value)}" for key, value in fields.items())]


def parse(text: str | None) -> Record:
    """Read the file; None is an absent one. Raises ValueError, with the line, for anything `render` does not write."""
    if text is None:
        return Record()
    tables: dict[tuple[str, str], dict[str, str]] = {("", ""): {}}
    table = tables["", ""]
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines: a text may hold other line ends
        if not line.strip() or line.startswith("#"):
            continue
        if header := _TABLE.fullmatch(line):
            table = tables.setdefault((header["name"], header["at"] or ""), {})
        elif found := _LINE.fullmatch(line):
            key = found["key"]
            table[_plain(key, number) if key.startswith('"') else key] = _plain(found["value"], number)
        else:
            raise ValueError(f"followed.toml:{number}: not a line that the follower writes: {line[:60]!r}")
    return _record(tables)


def _record(tables: Mapping[tuple[str, str], Mapping[str, str]]) -> Record:
    if tables["", ""].get("schema") != SCHEMA:
        raise ValueError(f'followed.toml: expected schema = "{SCHEMA}"')
    try:
        pins, guard = tables.get(("followed", "")), tables.get(("guard", ""))
        return Record(
            Followed(**pins, images=dict(tables.get(("images", ""), {}))) if pins else None,
            tuple(Failed(**table) for (name, _), table in tables.items() if name == "failed"),
            Guard(**guard, images=dict(tables.get(("guard_images", ""), {}))) if guard else None,
            tuple(FailedGuard(**table) for (name, _), table in tables.items() if name == "guard_failed"),
        )
    except TypeError as error:
        raise ValueError(f"followed.toml: {error}") from error


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def _plain(text: str, number: int) -> str:
    try:
        value: Any = json.loads(text)
    except ValueError as error:
        raise ValueError(f"followed.toml:{number}: {error}") from error
    return str(value)
