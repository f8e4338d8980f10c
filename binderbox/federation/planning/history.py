"""Who had which weight when, by the deployment repository's own log. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A member as one commit has it."""

    weight: float
    prime: bool


@dataclass(frozen=True)
class Version:
    """The members as one commit left them; `time_s` is the commit's, in seconds since 1970."""

    commit: str
    time_s: float
    date: str
    members: Mapping[str, Entry]


@dataclass(frozen=True)
class Changed:
    """One version that differs from the one before it, with what changed in words."""

    version: Version
    what: tuple[str, ...]


def changes(versions: Iterable[Version]) -> tuple[Changed, ...]:
    """Versions in the order of time; the first one is told as it is, then only what differs."""
    told: list[Changed] = []
    before: Mapping[str, Entry] | None = None
    for version in versions:
        if before is None:
            what = [f"{name} {_entry(one)}" for name, one in version.members.items()]
        else:
            what = _differences(before, version.members)
        if what:
            told.append(Changed(version, tuple(what)))
        before = version.members
    return tuple(told)


def _differences(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[str]:
    what = [f"{name} joins with {_entry(one)}" for name, one in after.items() if name not in before]
    what += [f"{name} leaves" for name in before if name not in after]
    for name, one in after.items():
        was = before.get(name)
        if was is None:
            continue
        if was.weight != one.weight:
            what.append(f"{name} {was.weight:g} -> {one.weight:g}")
        if was.prime != one.prime:
            what.append(f"{name} becomes the prime" if one.prime else f"{name} is the prime no more")
    return what


def _entry(one: Entry) -> str:
    return f"weight {one.weight:g}{', prime' if one.prime else ''}"
