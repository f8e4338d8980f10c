"""Orders again: soon, then ever more rarely, never more often than an authority allows."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from binderbox.decide import orders
from binderbox.decide.orders import Orders


def test_what_was_just_seen_to_be_missing_is_being_ordered_by_the_ingress_itself() -> None:
    assert orders.due(None, 1000.0) == (Orders(0, 1000.0), False)
    assert orders.due(Orders(0, 1000.0), 1599.0) == (Orders(0, 1000.0), False)
    assert orders.due(Orders(0, 1000.0), 1600.0) == (Orders(1, 1600.0), True)


@given(steps=st.lists(st.integers(1, 3 * 3600), max_size=200))
def test_never_more_than_five_in_an_hour_and_never_given_up(steps: list[int]) -> None:
    record, now, made = None, 0.0, []
    for step in steps:
        now += step
        record, order = orders.due(record, now)
        if order:
            made.append(now)
    assert all(sum(at - 3600 < one <= at for one in made) <= 5 for at in made)
    later, order = orders.due(record, now + orders.MOST_S)
    assert order == (record is not None)
    assert later.times == (record.times + 1 if record else 0)


def test_a_clock_that_was_put_back_does_not_stop_it() -> None:
    assert orders.due(Orders(3, 5000.0), 10.0) == (Orders(3 - 3, 10.0), False)


def test_missing_are_names_that_nothing_covers() -> None:
    names = ("a.example", "hub.a.example")
    assert orders.missing(names, ()) == names
    assert orders.missing(names, ("a.example",)) == ("hub.a.example",)
    assert orders.missing(names, ("a.example", "*.a.example")) == ()
    assert orders.missing(names, ("hub.a.example",)) == ("a.example",)


def test_each_order_changes_the_routes_and_routes_nothing() -> None:
    first, second = (json.loads(orders.render_route(Orders(1, at_s))) for at_s in (600.0, 90_000.0))
    assert first != second  # the first of another trouble is no old one
    assert set(first["http"]) == {"middlewares"}


def test_the_record_is_read_as_written_and_anything_else_is_none() -> None:
    assert orders.parse(orders.render(Orders(2, 5.5))) == Orders(2, 5.5)
    for text in (None, "", "[]", "{}", '{"times": "x", "at_s": 1}'):
        assert orders.parse(text) is None
