"""What the watch makes of its looks: launches that fail in a row, /health that changes to and fro, and what it restarts."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binderbox.federation.following.launches import Launches
from binderbox.federation.following.watch import (
    ASK_AGAIN_S,
    HOUR_S,
    REST_S,
    Look,
    Record,
    cures,
    flaps,
    judge,
    make_look,
    noted,
    parse,
    render,
    to_be_asked,
    works,
)

METRICS = """\
process_start_time_seconds 1.76e+09
binderhub_launch_time_seconds_count{retries="0",status="success"} 7.0
binderhub_launch_time_seconds_count{retries="-1",status="retry"} 9.0
binderhub_launch_time_seconds_count{retries="-1",status="failure"} 2.0
"""


def looked(*looks: Look) -> Record:
    record = Record()
    for look in looks:
        record = noted(record, look)
    return record


def counts(*pairs: tuple[int, int], process: str = "1") -> list[Look]:
    return [Look(60.0 * at, "", process, Launches(*pair)) for at, pair in enumerate(pairs)]


def test_a_look_is_read_from_metrics() -> None:
    assert make_look(5.0, "", METRICS) == Look(5.0, "", "1.76e+09", Launches(7, 2))
    assert make_look(5.0, "HTTP 503", "") == Look(5.0, "HTTP 503")
    assert make_look(5.0, "", "process_start_time_seconds 3\n").launches == Launches(0, 0)


@pytest.mark.parametrize(
    ("pairs", "failed"),
    [
        ([(5, 9)], 0),  # before the first look
        ([(5, 9), (5, 10), (5, 12)], 3),
        ([(5, 9), (5, 10), (6, 12)], 0),
        ([(5, 9), (6, 12), (6, 13)], 1),
        ([(0, 0), (0, 0)], 0),
    ],
)
def test_failed_launches_in_a_row_are_counted(pairs: list[tuple[int, int]], failed: int) -> None:
    assert looked(*counts(*pairs)).failed == failed


def test_a_new_process_counts_from_nothing() -> None:
    record = noted(looked(*counts((9, 9))), Look(60, "", "2", Launches(0, 2)))
    assert record.failed == 2


def test_two_processes_that_answer_in_turns_are_told_apart() -> None:
    """As while BinderHub is replaced."""
    record = looked(*counts((9, 1)))
    for at in range(1, 9):
        old = at % 2 == 0
        look = Look(60.0 * at, "", "1" if old else "2", Launches(9, 1) if old else Launches(0, 1))
        record = noted(record, look)
    assert record.failed == 1
    assert len(record.counted) == 2


def test_without_metrics_nothing_is_counted() -> None:
    record = looked(*counts((0, 0), (0, 3)))
    assert noted(record, Look(999, "no answer")).failed == 3


def test_our_own_launch_is_asked_for_after_three_and_not_again_at_once() -> None:
    record = looked(*counts((0, 0), (0, 2)))
    assert not to_be_asked(record, 5000)
    record = looked(*counts((0, 0), (0, 3)))
    assert to_be_asked(record, 5000)
    record = replace(record, asked_s=5000)
    assert not to_be_asked(record, 5000 + ASK_AGAIN_S - 1)
    assert to_be_asked(record, 5000 + ASK_AGAIN_S)
    assert to_be_asked(record, 4000)  # the clock was set back
    assert not to_be_asked(works(record), 9e9)


def test_the_hub_first_then_binder_and_each_at_most_every_six_hours() -> None:
    record = Record(failed=3)
    assert cures(record, 1000) == ("hub", "binder")
    record = replace(record, restarted={"hub": 1000.0})
    assert cures(record, 1060) == ("binder",)
    assert cures(replace(record, restarted={"hub": 1000.0, "binder": 1060.0}), 1120) == ()
    assert cures(record, 1000 + REST_S) == ("hub", "binder")
    assert cures(record, 0) == ("hub", "binder")  # the clock was set back


def health(pattern: str, every_s: float = 60) -> Record:
    return looked(*[Look(at * every_s, "" if well == "+" else "HTTP 503") for at, well in enumerate(pattern)])


@pytest.mark.parametrize(
    ("pattern", "times", "verdict"),
    [
        ("++++++", 0, "well"),
        ("+-++++", 1, "well"),
        ("+--------", 1, "unwell"),
        ("+-+-+", 2, "well"),
        ("+-+-+-+", 3, "flapping"),
        ("+-+-+-", 3, "flapping"),
        ("-+-+-+", 2, "well"),
    ],
)
def test_one_bad_answer_is_no_flapping(pattern: str, times: int, verdict: str) -> None:
    record = health(pattern)
    assert flaps(record) == times
    assert judge(record, "" if pattern.endswith("+") else "HTTP 503")[0] == verdict


def test_flapping_is_over_after_an_hour() -> None:
    record = health("+-+-+-+")
    assert judge(noted(record, Look(420 + HOUR_S, "")), "")[0] == "well"
    assert flaps(noted(record, Look(HOUR_S - 1, ""))) == 3


def test_what_people_must_look_at_comes_first() -> None:
    record = replace(health("+-+-+-+"), failed=5, stalled="pod did not start")
    verdict, why = judge(record, "HTTP 503")
    assert (verdict, "pod did not start" in why) == ("stalled", True)
    assert judge(Record(failed=3), "")[0] == "suspect"
    assert judge(works(replace(record, health=())), "") == ("well", "launches and /health are well")


LOOKS = st.lists(
    st.tuples(st.booleans(), st.sampled_from(["", "1", "2", "3"]), st.integers(0, 3), st.integers(0, 3)),
    max_size=30,
)


@given(LOOKS)
def test_a_record_survives_its_file_and_stays_small(steps: list[tuple[bool, str, int, int]]) -> None:
    totals: dict[str, tuple[int, int]] = {}
    record = Record()
    for at, (well, process, more, failures) in enumerate(steps):
        success, failure = totals.get(process, (0, 0))
        totals[process] = (success + more, failure + failures)
        look = Look(at * 300.0, "" if well else "no", process, Launches(*totals[process]))
        record = noted(record, look)
        if more and process and at and len(record.counted) > 1:
            assert record.failed == 0
    assert parse(render(record)) == record
    assert len(record.health) <= HOUR_S / 300
    assert all(later[0] - earlier[0] == 300 for earlier, later in pairwise(record.health))


@pytest.mark.parametrize("text", [None, "", "[]", "{", '{"failed": "x"}', '{"health": 1}', "null"])
def test_a_file_of_something_else_is_an_empty_record(text: str | None) -> None:
    assert parse(text) == Record()
