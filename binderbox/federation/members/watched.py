"""What changed on the screen of `federation status` since it was last drawn. Pure."""

from __future__ import annotations

from dataclasses import fields

from binderbox.federation.members.status import FederationStatus, MemberRow

QUIET = {"name", "seconds", "pods", "free", "certificate_days"}  # change with every look, and mean nothing


def changed_members(before: FederationStatus, now: FederationStatus) -> dict[str, tuple[str, ...]]:
    """What changed of each member, as `weight 5 -> 15`; a member that came or went is told as such."""
    old, new = ({one.name: one for one in status.members} for status in (before, now))
    told: dict[str, tuple[str, ...]] = {}
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in old:
            told[name] = ("new here",)
        elif name not in new:
            told[name] = ("gone",)
        elif words := _changed(old[name], new[name]):
            told[name] = words
    return told


def _changed(old: MemberRow, new: MemberRow) -> tuple[str, ...]:
    words = []
    for field in fields(MemberRow):
        was, is_ = getattr(old, field.name), getattr(new, field.name)
        if (
            field.name not in QUIET
            and was != is_
            and not (field.name == "detail" and old.reason == new.reason)
        ):
            words.append(f"{field.name} {_word(was)} -> {_word(is_)}")
    return tuple(words)


def _word(value: object) -> str:
    if value is None:
        return "?"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value) or "none"
