"""The node's own abuse check: what it tells of what its launch saw."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from binderbox import layout
from binderbox.artifacts import followable
from binderbox.checks.core import run_checks
from binderbox.errors import NoAnswer
from binderbox.launch.reach import OF_NOTEBOOKS
from binderbox.member.model import Member
from binderbox.parts.agent.jobs import abuse, files
from binderbox.parts.agent.jobs.config import AgentConfig, parse_config
from binderbox.parts.agent.units import make_inputs
from binderbox.parts.checks import of
from tests.checks.fakes import GOOD as FACTS
from tests.checks.fakes import FakeProbe
from tests.parts.agent.test_travels import DISK

CONFIG: AgentConfig = parse_config(
    make_inputs(
        Member(domain="binder.example.org"), FACTS, followable.load(), "example/base:1", disk=DISK
    ).config
)
WELL: dict[str, bool | str] = {
    **dict.fromkeys(CONFIG.forbidden, "refused"),
    **dict.fromkeys(CONFIG.allowed, True),
}
SERVER = SimpleNamespace(image="registry/i:1", url="https://x/", token="t")
PODS = {"items": [{"metadata": {"name": "jupyter-a"}, "spec": {"containers": [{"image": SERVER.image}]}}]}
Tried = Callable[..., dict[str, Any]]


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tried:
    """What the state says after a run in which notebook and build saw this."""
    state = tmp_path / "abuse.json"
    monkeypatch.setattr(layout, "ABUSE_STATE", str(state))
    monkeypatch.setattr(layout, "AUDIT_FILE", str(tmp_path / "audit.log"))
    monkeypatch.setattr(layout, "DRAIN_FILE", str(tmp_path / "drain"))

    @contextmanager
    def hold(who: str, wait_s: float) -> Iterator[Callable[[str], None]]:
        yield lambda step: None

    monkeypatch.setattr(abuse, "hold", hold)

    def run(by_notebook: dict[str, Any], by_build: dict[str, Any], fails: str = "") -> dict[str, Any]:
        @contextmanager
        def launched(config: AgentConfig, targets: dict[str, str]) -> Iterator[Any]:
            assert set(targets) == set(WELL)
            if fails:
                raise NoAnswer(fails)
            yield SERVER

        def kubectl(*words: str, timeout_s: float = 0) -> str:
            if words[0] == "get":
                return json.dumps(PODS)
            assert "jupyter-a" in words
            return json.dumps(by_build if "cat" in words else by_notebook)

        monkeypatch.setattr(abuse.launching, "launched", launched)
        monkeypatch.setattr(abuse, "kubectl", kubectl)
        abuse.run(CONFIG)
        found: dict[str, Any] = json.loads(files.read(str(state)) or "null")
        return found

    return run


def verdict(found: dict[str, Any] | None) -> tuple[str, str]:
    (one,) = [one for one in run_checks(of("guard"), FakeProbe(tried=found)) if one.id == "BBX-G02"]
    return one.verdict, one.measured


def test_all_as_it_must_be_is_a_full_score(tried: Tried) -> None:
    found = tried(WELL, WELL | dict.fromkeys(OF_NOTEBOOKS, True))
    assert (found["good"], found["faults"]) == (found["of"], [])
    assert verdict(found)[0] == "pass"


def test_what_could_be_reached_fails_a_check_and_stands_in_the_audit_log(tried: Tried) -> None:
    found = tried(WELL | {"raw packets": True}, WELL | {"mail": True, "kubelet": "timed out"})
    assert found["faults"] == [
        "notebook: raw packets is within reach",
        "build: kubelet is met with silence in place of a refusal",
        "build: mail is within reach",
    ]
    assert found["good"] == found["of"] - 3
    assert verdict(found)[0] == "fail"
    (line,) = Path(layout.AUDIT_FILE).read_text().splitlines()
    assert json.loads(line)["who"] == "the abuse check on this node"


def test_a_launch_that_fails_is_no_score_of_the_guard(tried: Tried) -> None:
    found = tried(WELL, WELL, fails="a launch failed: no place")
    assert found["why"] == "a launch failed: no place"
    assert verdict(found)[0] == "warn"


def test_before_the_first_try_there_is_nothing_to_judge() -> None:
    assert verdict(None)[0] == "skip"
