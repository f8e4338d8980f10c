from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from binderbox.parts.builder.door import pusher as module
from binderbox.parts.builder.door.pusher import Pusher
from binderbox.parts.builder.door.spool import Spool

from .conftest import TAG, ImageRecords, events_in, eventually

DIGEST = "sha256:" + "0" * 64
REPOSITORY = "https://example.org/demo.git"


@pytest.fixture
def start(state: Path) -> Iterator[Callable[..., tuple[Pusher, ImageRecords]]]:
    running: list[tuple[Pusher, threading.Thread]] = []

    def go(images: ImageRecords, give_up_s: float = 3600) -> Pusher:
        pusher = Pusher(Spool(state / "spool"), images, give_up_s)
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
    eventually(lambda: images.pinned == {TAG})
    assert [(p.tag, p.digest, p.repository) for p in pusher.spool.all()] == [(TAG, DIGEST, REPOSITORY)]
    images.broken = False
    eventually(lambda: not pusher.spool.all())
    assert (images.pushed, images.pinned) == ([TAG], set())


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
    assert images.pinned == {TAG}
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
    Pusher(spool, images, 3600).repin()
    assert images.pinned == {TAG}


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
    assert (images.pushed, images.pinned) == ([TAG, TAG], set())


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
    eventually(lambda: not pusher.spool.all() and not images.pinned)


def test_a_torn_or_foreign_file_in_the_spool_stops_nothing(state: Path) -> None:
    spool = Spool(state / "spool")
    (state / "spool/torn.json").write_text('{"tag": ')
    (state / "spool/foreign.json").write_text(json.dumps({"name": "x"}))
    (state / "spool/list.json").write_text("[]")
    pending = spool.add(TAG, DIGEST, REPOSITORY)
    assert spool.all() == [pending]
