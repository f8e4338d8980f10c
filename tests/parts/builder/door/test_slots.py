from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from binderbox.parts.builder.door.slots import Slots

from .conftest import eventually


def _nothing() -> None:
    pass


def test_builds_get_their_slot_in_the_order_in_which_they_came() -> None:
    slots, order, hold = Slots(1), [], threading.Event()

    def build(name: str) -> None:
        with slots.turn(frozenset({f"https://example.org/{name}"}), lambda place: None, _nothing):
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


class Builds:
    """Builds that hold their slot until they are told to end."""

    def __init__(self, count: int) -> None:
        self.slots, self.started, self.threads = Slots(count), [], []
        self._ends = {}

    def start(self, *names: str, times: int = 1) -> None:
        for _ in range(times):
            self.threads.append(threading.Thread(target=self._build, args=(names,)))
            self.threads[-1].start()
        eventually(lambda: len(self.started) + self.slots.waiting == len(self.threads))

    def _build(self, names: tuple[str, ...]) -> None:
        with self.slots.turn(frozenset(names), lambda place: None, _nothing):
            self._ends.setdefault(names[0], threading.Semaphore(0))
            self.started.append(names[0])
            assert self._ends[names[0]].acquire(timeout=10)

    def end(self, name: str, times: int = 1) -> None:
        for _ in range(times):
            self._ends[name].release()

    def end_all(self) -> None:
        while any(thread.is_alive() for thread in self.threads):
            for ends in list(self._ends.values()):
                ends.release()
            time.sleep(0.001)


@pytest.fixture
def builds() -> Callable[[int], Builds]:
    made: list[Builds] = []
    yield lambda count: made.append(Builds(count)) or made[-1]
    for one in made:
        one.end_all()


@pytest.mark.parametrize(("count", "most"), [(2, 1), (3, 1), (4, 2), (8, 4)])
def test_a_repository_with_many_builds_leaves_half_of_the_slots_to_others(
    builds: Callable[[int], Builds], count: int, most: int
) -> None:
    all_of = builds(count)
    all_of.start("popular", times=32)
    eventually(lambda: len(all_of.started) == most)
    all_of.start("other")
    eventually(lambda: all_of.started[-1] == "other")
    assert all_of.slots.waiting == 32 - most


def test_an_owner_with_many_repositories_is_one(builds: Callable[[int], Builds]) -> None:
    all_of = builds(4)
    for number in range(32):
        all_of.start(f"one/{number}", "one")
    eventually(lambda: len(all_of.started) == 2)
    all_of.start("two/1", "two")
    all_of.start("three/1", "three")
    eventually(lambda: set(all_of.started[2:]) == {"two/1", "three/1"})
    all_of.end("two/1")
    eventually(lambda: all_of.slots._free == 1)
    assert len(all_of.started) == 4, "the first owner has its half"


def test_with_one_slot_a_repository_with_many_builds_is_passed_by_another(
    builds: Callable[[int], Builds],
) -> None:
    all_of = builds(1)
    all_of.start("popular", times=50)
    all_of.start("other", times=2)
    all_of.end("popular")
    eventually(lambda: all_of.started == ["popular", "other"])
    all_of.end("other")
    eventually(lambda: len(all_of.started) == 3)
    all_of.end("popular", times=2)
    eventually(lambda: all_of.started.count("other") == 2)


def test_never_more_builds_than_slots() -> None:
    slots, running, most = Slots(3), [], []

    def build() -> None:
        with slots.turn(frozenset({"r"}), lambda place: None, _nothing):
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
        with slots.turn(frozenset({name}), told[name].append, _nothing):
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
        with slots.turn(frozenset({"r"}), lambda place: None, _nothing):
            hold.wait(5)

    thread = threading.Thread(target=first)
    thread.start()
    eventually(lambda: slots._free == 0)

    def left() -> None:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError), slots.turn(frozenset({"r"}), lambda place: None, left):
        pytest.fail("got a slot that was not free")
    assert slots.waiting == 0
    hold.set()
    thread.join(5)
    with slots.turn(frozenset({"r"}), lambda place: pytest.fail("had to wait"), _nothing):
        pass
