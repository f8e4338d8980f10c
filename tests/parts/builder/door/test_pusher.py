from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from binderbox.parts.builder.door import pusher as module
from binderbox.parts.builder.door.pusher import Budget, Pusher
from binderbox.parts.builder.door.spool import Pending, Spool

from .conftest import PLENTY, TAG, ImageRecords, events_in, eventually, make_pusher

DIGEST = "sha256:" + "0" * 64
REPOSITORY = "https://example.org/demo.git"


@pytest.fixture
def start(state: Path) -> Iterator[Callable[..., tuple[Pusher, ImageRecords]]]:
    running: list[tuple[Pusher, threading.Thread]] = []

    def go(images: ImageRecords, give_up_s: float = 3600, budget: Budget = PLENTY) -> Pusher:
        pusher = make_pusher(state, images, give_up_s, budget)
        thread = threading.Thread(target=pusher.work)
        thread.start()
        running.append((pusher, thread))
        return pusher

    yield go
    for pusher, thread in running:
        pusher.stop()
        thread.join(5)
        assert not thread.is_alive()


def test_an_image_is_pinned_until_it_is_pushed(start: Callable[..., Pusher]) -> None:
    images = ImageRecords(broken=True)
    pusher = start(images)
    pusher.add(TAG, DIGEST, REPOSITORY)
    eventually(lambda: images.pins == {TAG})
    assert [(p.tag, p.digest, p.repository) for p in pusher.spool.all()] == [(TAG, DIGEST, REPOSITORY)]
    images.broken = False
    eventually(lambda: not pusher.spool.all())
    assert (images.pushed, images.pins) == ([TAG], set())


def test_a_push_that_fails_is_tried_again_and_again_with_longer_waits(
    start: Callable[..., Pusher], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(module, "LONGEST_WAIT_S", 0.15)
    images = ImageRecords(broken=True)
    pusher = start(images)
    pusher.add(TAG, DIGEST, REPOSITORY)
    failed: list[dict[str, object]] = []

    def four_failures() -> bool:
        failed.extend(e for e in events_in(capsys.readouterr().err) if e["event"] == "push-failed")
        return len(failed) >= 4

    eventually(four_failures)
    assert [event["next_in_s"] for event in failed[:4]] == [0.05, 0.1, 0.15, 0.15]
    assert failed[0]["repository"] == REPOSITORY
    assert images.pins == {TAG}
    images.broken = False
    eventually(lambda: not pusher.spool.all())


def test_a_restart_forgets_no_push(state: Path, start: Callable[..., Pusher]) -> None:
    Spool(state / "spool").add(TAG, DIGEST, REPOSITORY)  # by a door that was killed right after
    images = ImageRecords()
    pusher = start(images)
    eventually(lambda: images.pushed == [TAG])
    eventually(lambda: not pusher.spool.all())


def test_a_pin_that_got_lost_is_put_back(state: Path) -> None:
    images = ImageRecords()
    spool = Spool(state / "spool")
    spool.add(TAG, DIGEST, REPOSITORY)
    make_pusher(state, images).repin()
    assert images.pins == {TAG}


def test_a_tag_built_again_while_it_is_pushed_is_pushed_again(start: Callable[..., Pusher]) -> None:
    entered, go_on = threading.Event(), threading.Event()

    class Slow(ImageRecords):
        def push(self, tag: str) -> None:
            super().push(tag)
            entered.set()
            go_on.wait(5)

    images = Slow()
    pusher = start(images)
    pusher.add(TAG, DIGEST, REPOSITORY)
    assert entered.wait(5)
    pusher.add(TAG, "sha256:" + "1" * 64, REPOSITORY)
    go_on.set()
    eventually(lambda: not pusher.spool.all())
    assert (images.pushed, images.pins) == ([TAG, TAG], set())


def test_an_image_that_is_gone_is_not_pushed_for_ever(
    start: Callable[..., Pusher], capsys: pytest.CaptureFixture[str]
) -> None:
    pusher = start(ImageRecords(absent=True))
    pusher.add(TAG, DIGEST, REPOSITORY)
    eventually(lambda: "push-dropped" in capsys.readouterr().err)
    assert pusher.spool.all() == []


def test_a_push_that_never_works_ends_and_lets_the_image_go(start: Callable[..., Pusher]) -> None:
    images = ImageRecords(broken=True)
    pusher = start(images, give_up_s=0)
    pusher.add(TAG, DIGEST, REPOSITORY)
    eventually(lambda: not pusher.spool.all() and not images.pins)


def test_a_torn_or_foreign_file_in_the_spool_stops_nothing(state: Path) -> None:
    spool = Spool(state / "spool")
    (state / "spool/torn.json").write_text('{"tag": ')
    (state / "spool/foreign.json").write_text(json.dumps({"name": "x"}))
    (state / "spool/list.json").write_text("[]")
    pending = spool.add(TAG, DIGEST, REPOSITORY)
    assert spool.all() == [pending]


def test_what_a_killed_door_was_writing_goes_at_the_start(state: Path) -> None:
    pending = Spool(state / "spool").add(TAG, DIGEST, REPOSITORY)
    half = state / "spool" / f"0.{pending.made}.new"
    half.write_text('{"tag": ')
    assert Spool(state / "spool").all() == [pending]
    assert not half.exists()


def test_a_spool_that_cannot_be_written_for_a_while_ends_no_thread(
    start: Callable[..., Pusher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.05)
    images = ImageRecords()
    pusher = start(images)
    remove, failures = pusher.spool.remove, [OSError(5, "Input/output error"), OSError(28, "No space left")]

    def broken(pending: Pending) -> None:
        if failures:
            raise failures.pop()
        remove(pending)

    monkeypatch.setattr(pusher.spool, "remove", broken)
    pusher.add(TAG, DIGEST, REPOSITORY)
    eventually(lambda: not pusher.spool.all())
    assert not failures


def test_an_image_that_is_let_go_while_its_push_fails_ends_no_thread(start: Callable[..., Pusher]) -> None:
    class LetGo(ImageRecords):
        def push(self, tag: str) -> None:
            if tag == TAG:
                pusher.make_room("the disk is short")
                raise OSError("the registry is away")
            super().push(tag)

    images = LetGo()
    pusher = start(images)
    pusher.add(TAG, DIGEST, REPOSITORY)
    eventually(lambda: not pusher.spool.all())
    pusher.add(f"{TAG}-other", DIGEST, REPOSITORY)
    eventually(lambda: images.pushed == [f"{TAG}-other"])


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def tags(pusher: Pusher) -> list[str]:
    return [one.tag for one in pusher.spool.all()]


def test_above_the_budget_the_oldest_images_are_let_go_and_told(
    start: Callable[..., Pusher], state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = {digest(number): {"base": 500, f"own-{number}": 100} for number in range(4)}
    images = ImageRecords(broken=True, layers_of=layers)
    pusher = start(images, budget=Budget(700, 1000))
    for number in range(3):
        pusher.add(f"r/i-{number}:1", digest(number), REPOSITORY)
        eventually(lambda number=number: f"r/i-{number}:1" in images.pins or number == 2)
    eventually(lambda: tags(pusher) == ["r/i-1:1", "r/i-2:1"])  # their base is counted once: 700
    eventually(lambda: images.pins == {"r/i-1:1", "r/i-2:1"})
    assert pusher.spool.size() == 700
    eventually(lambda: [one["what"] for one in pusher.telling.recent()] == ["image-let-go"])
    assert "image-let-go" in (state / "audit.log").read_text()
    assert "push-let-go" in {one["event"] for one in events_in(capsys.readouterr().err)}


def test_so_are_those_above_its_number(start: Callable[..., Pusher]) -> None:
    images = ImageRecords(broken=True)
    pusher = start(images, budget=Budget(1 << 40, 2))
    for number in range(5):
        pusher.add(f"r/i-{number}:1", digest(number), REPOSITORY)
    eventually(lambda: tags(pusher) == ["r/i-3:1", "r/i-4:1"])
    eventually(lambda: images.pins == {"r/i-3:1", "r/i-4:1"})


def test_where_the_disk_is_short_the_oldest_quarter_goes(start: Callable[..., Pusher]) -> None:
    images = ImageRecords(broken=True)
    pusher = start(images)
    for number in range(8):
        pusher.add(f"r/i-{number}:1", digest(number), REPOSITORY)
    assert pusher.make_room("the disk is short") == 2
    assert tags(pusher) == [f"r/i-{number}:1" for number in range(2, 8)]


def test_three_thousand_images_that_wait_cost_a_build_nothing(state: Path) -> None:
    """Each build read all of them: 0.27 s, and putting their pins back took 13 minutes."""
    spool = Spool(state / "spool")
    for number in range(3000):
        spool.add(f"r/i-{number}:1", digest(number), REPOSITORY)
    again = Spool(state / "spool")
    assert len(again.all()) == 3000
    for path in (state / "spool").glob("*.json"):
        path.unlink()  # nobody reads them any more
    pending = again.add("r/i-new:1", digest(9), REPOSITORY)
    assert again.holds(pending)
    assert len(again.all()) == 3001
    images = ImageRecords(pins={one.tag for one in again.all()} - {"r/i-7:1"})
    asked: list[str] = []
    images.pin = lambda tag, digest: asked.append(tag)  # type: ignore[method-assign]
    pusher = make_pusher(state, images, budget=Budget(1 << 40, 5000))
    pusher.spool = again
    pusher.repin()
    assert asked == ["r/i-7:1"]


def test_a_tag_that_is_built_again_is_the_newest(state: Path) -> None:
    spool = Spool(state / "spool")
    first = spool.add("r/i-a:1", digest(1), REPOSITORY)
    spool.measured(first, {"x": 5})
    spool.add("r/i-b:1", digest(2), REPOSITORY)
    spool.add("r/i-a:1", digest(3), REPOSITORY)
    assert [one.tag for one in spool.all()] == ["r/i-b:1", "r/i-a:1"]
    assert spool.size() == 0
    spool.remove(first)
    assert len(spool.all()) == 2
