"""followed.toml is read as it was written, by TOML's own reader too, and nothing else passes for it."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binderbox.federation.following.followed import (
    KEPT_FAILURES,
    Failed,
    FailedGuard,
    Followed,
    Guard,
    Record,
    parse,
    render,
)

WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
FOLLOWED = st.builds(
    Followed, WORDS, WORDS, WORDS, WORDS, WORDS, WORDS, st.dictionaries(WORDS, WORDS, max_size=4)
)
FAILED = st.builds(Failed, WORDS, WORDS, WORDS, WORDS, WORDS)
GUARD = st.builds(Guard, WORDS, WORDS, WORDS, WORDS, WORDS, st.dictionaries(WORDS, WORDS, max_size=4))
FAILED_GUARD = st.builds(FailedGuard, WORDS, WORDS, WORDS, WORDS)


def some(of: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, max_size=KEPT_FAILURES).map(tuple)


@given(st.builds(Record, st.none() | FOLLOWED, some(FAILED), st.none() | GUARD, some(FAILED_GUARD)))
def test_what_is_written_is_read(record: Record) -> None:
    text = render(record)
    assert parse(text) == record
    known = tomllib.loads(text)
    assert (record.followed is not None) == ("followed" in known)
    if record.followed:
        assert known["followed"]["chart"] == record.followed.chart
        assert known["images"] == dict(record.followed.images)
    assert len(known.get("failed", {})) == len(record.failed)
    assert len(known.get("guard_failed", {})) == len(record.guard_failed)


def test_no_file_is_nothing_followed() -> None:
    assert parse(None) == Record()


def test_only_the_last_failures_are_kept() -> None:
    failed = tuple(Failed("c", f"1.0.{number}", "i", "t", "w") for number in range(20))
    assert [one.chart for one in parse(render(Record(None, failed))).failed] == [
        f"1.0.{n}" for n in range(12, 20)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        'schema = "2"\n',
        'schema = "1"\n[followed]\ncommit = "c"\n',
        'schema = "1"\n[followed]\nunknown = "c"\n',
        "schema = 1\n",
        'schema = "1"\nnot a line\n',
        'schema = "1"\nkey = "\\x"\n',
        "<html>",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"followed\.toml"):
        parse(text)
