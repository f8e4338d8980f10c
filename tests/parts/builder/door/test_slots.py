from __future__ import annotations

import threading
import time

import pytest

from binderbox.parts.builder.door.slots import Slots

from .conftest import eventually


def _nothing() -> None:
    pass


def test_builds_get_their_slot_in_the_order_in_which_they_came() -> None:
    slots, order, hold = Slots(1), [], threading.Event()

    def build(name: str) -> None:
        with slots.turn(f"https://example.org/{name}", lambda place: None, _nothing):
            order.append(name)
            hold.wait(5)

    threads = []
    for number, name in enumerate("abcde"):
        threads.append(threading.Thread(target=build, args=(name,)))
        threads[-1].start()
        eventually(lambda number=number: len(order) + slots.waiting == number + 1)
    assert order == ["a"]
    hold.set()
    for thread in threads:
        thread.join(5)
    assert order == list("abcde")


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_repository_with_many_builds_does_not_keep_another_out(count: int) -> None:
    slots, started, ends = Slots(count), [], threading.Semaphore(0)

    def build(repository: str) -> None:
        with slots.turn(repository, lambda place: None, _nothing):
            started.append(repository)
            assert ends.acquire(timeout=10)

    threads = [threading.Thread(target=build, args=("popular",)) for _ in range(50)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(started) == count and slots.waiting == 50 - count)
    threads += [threading.Thread(target=build, args=("other",)) for _ in range(2)]
    for thread in threads[-2:]:
        thread.start()
    eventually(lambda: slots.waiting == 52 - count)
    ends.release()
    eventually(lambda: len(started) == count + 1)
    assert started[-1] == "other"
    for _ in range(51):
        ends.release()
    for thread in threads:
        thread.join(10)
    assert started.index("other", count + 1) <= 2 * count + 2
    assert len(started) == 52


def test_never_more_builds_than_slots() -> None:
    slots, running, most = Slots(3), [], []

    def build() -> None:
        with slots.turn("r", lambda place: None, _nothing):
            running.append(1)
            most.append(len(running))
            time.sleep(0.01)
            running.pop()

    threads = [threading.Thread(target=build) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert max(most) <= 3
    assert slots.waiting == 0


def test_a_place_in_line_is_told_when_it_changes_and_only_to_those_who_wait() -> None:
    slots, told, hold = Slots(1), {"a": [], "b": [], "c": []}, {name: threading.Event() for name in "abc"}

    def build(name: str) -> None:
        with slots.turn(name, told[name].append, _nothing):
            hold[name].wait(5)

    threads = {}
    for name in "abc":
        threads[name] = threading.Thread(target=build, args=(name,))
        threads[name].start()
        eventually(lambda name=name: slots._free == 0 if name == "a" else bool(told[name]))
    hold["a"].set()
    eventually(lambda: told["c"] == [2, 1])
    assert (told["a"], told["b"]) == ([], [1])
    for name in "bc":
        hold[name].set()
        threads[name].join(5)


def test_one_that_gives_up_leaves_the_line() -> None:
    slots, hold = Slots(1), threading.Event()

    def first() -> None:
        with slots.turn("r", lambda place: None, _nothing):
            hold.wait(5)

    thread = threading.Thread(target=first)
    thread.start()
    eventually(lambda: slots._free == 0)

    def left() -> None:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError), slots.turn("r", lambda place: None, left):
        pytest.fail("got a slot that was not free")
    assert slots.waiting == 0
    hold.set()
    thread.join(5)
    with slots.turn("r", lambda place: pytest.fail("had to wait"), _nothing):
        pass
