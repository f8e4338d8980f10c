"""Launches read from event streams; where the recorded answers of a real BinderHub are at hand, from those."""

import json

import pytest

from binderbox.launch.stream import Launch, build_path, follow, over, page_path, reason_lines
from tests.places import UPSTREAM

RECORDED = UPSTREAM / "recorded/binderhub"


def replay(name: str) -> tuple[Launch, float]:
    """Follow a recorded stream until the launch is over; the time at which a client would have left."""
    launch, now = Launch(), 0.0
    for line in (RECORDED / name).read_text().splitlines():
        record = json.loads(line)
        now = record.get("t", now)
        text = record.get("line", "")
        if text.startswith("data: "):
            launch = follow(launch, json.loads(text[6:]), now)
        if over(launch, now):
            break
    return launch, now


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://github.com/owner/name", "/build/gh/owner/name/main"),
        ("https://github.com/owner/name.git/", "/build/gh/owner/name/main"),
        ("git://10.42.0.1/sample.git", "/build/git/git%3A%2F%2F10.42.0.1%2Fsample.git/main"),
        ("https://gitlab.com/a/b/c", "/build/git/https%3A%2F%2Fgitlab.com%2Fa%2Fb%2Fc/main"),
    ],
)
def test_a_repository_has_one_build_path(url: str, path: str) -> None:
    assert build_path(url, "main") == path


def test_the_page_of_a_repository_has_the_path_that_visitors_open() -> None:
    assert (
        page_path("/build/git/git%3A%2F%2Fhost%2Fbuild%2Fx/main")
        == "/v2/git/git%3A%2F%2Fhost%2Fbuild%2Fx/main"
    )


@pytest.mark.parametrize("lines", [1, 5, 12, 40])
def test_a_reason_that_the_stream_told_is_not_told_twice(lines: int) -> None:
    """BinderHub's `failed` event carries the build's whole text, and the launch has read it as its last lines."""
    text = "\n".join(f"line {number}" for number in range(lines))
    launch = follow(
        follow(Launch(), {"phase": "building", "message": "step\n"}, 1),
        {"phase": "failed", "message": f"{text}\n"},
        2,
    )
    told = reason_lines(launch, launch.failure or "")
    assert len(set(told)) == len(told) <= 12
    assert told[-1] == f"line {lines - 1}"


def test_a_reason_that_nobody_told_comes_last() -> None:
    launch = follow(Launch(), {"phase": "fetching", "message": "No environment specification found.\n"}, 1)
    assert reason_lines(launch, "the stream ended") == (
        "No environment specification found.",
        "the stream ended",
    )


@pytest.mark.parametrize("url", ["owner/name", "file:///etc", "--upload-pack=x", "https://"])
def test_what_is_no_repository_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not a repository URL"):
        build_path(url, "main")


def test_a_bare_failed_waits_for_its_text() -> None:
    launch = follow(Launch(), {"phase": "failed"}, 1.0)
    assert not over(launch, 2.0)
    assert over(launch, 7.0)
    told = follow(launch, {"phase": "failed", "message": "no such ref\n"}, 2.0)
    assert over(told, 2.0)
    assert told.failure == "no such ref"


recorded = pytest.mark.skipif(not RECORDED.is_dir(), reason="../shared is not here: no recorded answers")


@recorded
@pytest.mark.parametrize(
    ("name", "built"),
    [("build-warm.jsonl", False), ("build-warm-pull.jsonl", False), ("build-new-commit.jsonl", True)],
)
def test_recorded_launches_become_ready(name: str, built: bool) -> None:
    launch, now = replay(name)
    assert (launch.ready, launch.built, launch.failure) == (True, built, None)
    assert launch.image
    assert launch.token == "TOKEN"
    assert now < 30, "the client must not wait for the server to close the stream"


@recorded
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("build-failing.jsonl", "exit code: 1"),
        ("build-unknown-ref.jsonl", "Could not resolve ref"),
        ("build-banned.jsonl", "not allowed to launch"),
        ("build-rate-limited.jsonl", "limit"),
        ("build-quota-exceeded.jsonl", "users"),
        ("build-accept-html.jsonl", "text/event-stream"),
    ],
)
def test_recorded_failures_say_why(name: str, text: str) -> None:
    launch, _ = replay(name)
    assert not launch.ready
    assert text.lower() in ((launch.failure or "") + " ".join(launch.lines)).lower()
