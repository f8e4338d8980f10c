"""What the door gave up to protect the node stands in a check for a day."""

from __future__ import annotations

import pytest

from binderbox.checks.core import run_checks
from binderbox.output.results import CheckResult
from binderbox.parts.checks import of
from tests.checks.fakes import FakeProbe
from tests.checks.test_proofs import POLICIES, POLICY_OBJECTS

ENDED = {"at": "1", "what": "build-ended", "why": "this build wrote 9.0 GB", "times": "2"}
LOST = {"at": "2", "what": "image-let-go", "why": "3 built and not pushed", "times": "1"}


def told(*said: dict[str, str]) -> CheckResult:
    return next(one for one in run_checks(of("builder"), FakeProbe(told=said)) if one.id == "BBX-B09")


@pytest.mark.parametrize(
    ("said", "verdict", "words"),
    [((), "pass", "nothing"), ((ENDED,), "warn", "build-ended (2): this build wrote"), ((ENDED, LOST), "fail", "image-let-go")],
)  # fmt: skip
def test_an_ended_build_warns_and_a_lost_image_fails(
    said: tuple[dict[str, str], ...], verdict: str, words: str
) -> None:
    found = told(*said)
    assert found.verdict == verdict
    assert words in found.measured
    assert verdict == "pass" or "journalctl -u binderbox-door.service" in found.fix


@pytest.mark.parametrize("gone", range(5))
def test_a_policy_that_somebody_took_away_is_told(gone: int) -> None:
    left = [one for n, one in enumerate(POLICY_OBJECTS) if n != gone]
    probe = FakeProbe(objects={f"get {POLICIES}": {"items": left}})
    found = next(one for one in run_checks(of("builder"), probe) if one.id == "BBX-B10")
    assert found.verdict == ("pass" if gone == len(POLICY_OBJECTS) else "fail")
    assert found.verdict == "pass" or POLICY_OBJECTS[gone]["kind"] in found.measured


def test_where_no_door_runs_there_is_nothing_to_tell() -> None:
    found = next(one for one in run_checks(of("builder"), FakeProbe()) if one.id == "BBX-B09")
    assert found.verdict == "skip"
