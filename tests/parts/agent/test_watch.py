"""The watch's job on a member that does not answer: it never ends without a verdict."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from binderbox import layout
from binderbox.artifacts.versions import load_follow
from binderbox.federation.following import watch
from binderbox.federation.following.watch import Record
from binderbox.member.model import Member
from binderbox.parts.agent.jobs import watch as job
from binderbox.parts.agent.jobs.config import AgentConfig, parse_config
from binderbox.parts.agent.units import make_inputs
from tests.checks.fakes import facts


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentConfig:
    for name in ("WATCH_RECORD", "WATCH_STATE", "DRAIN_FILE", "FOLLOW_SWITCH", "AUDIT_FILE"):
        monkeypatch.setattr(layout, name, str(tmp_path / name))
    here = facts(address="127.0.0.1")  # where nobody answers at 443
    return parse_config(make_inputs(Member(domain="binder.example.org"), here, load_follow(), "b:1").config)


@pytest.mark.parametrize(("stalled", "verdict"), [("", "unwell"), ("no pod starts", "stalled")])
def test_between_launches_of_its_own_it_goes_on_looking(
    config: AgentConfig, tmp_path: Path, stalled: str, verdict: str
) -> None:
    asked = time.time()
    (tmp_path / "WATCH_RECORD").write_text(watch.render(Record(failed=5, asked_s=asked, stalled=stalled)))
    assert job.run(config) == verdict
    assert json.loads((tmp_path / "WATCH_STATE").read_text())["verdict"] == verdict
    kept = watch.parse((tmp_path / "WATCH_RECORD").read_text())
    assert (kept.failed, kept.asked_s, len(kept.health)) == (5, asked, 1)


def test_a_change_of_the_follower_is_waited_for(config: AgentConfig, tmp_path: Path) -> None:
    (tmp_path / "WATCH_RECORD").write_text(watch.render(Record(failed=5)))
    (tmp_path / "FOLLOW_SWITCH").write_text("{}")
    assert job.run(config) == "unwell"
    assert watch.parse((tmp_path / "WATCH_RECORD").read_text()).asked_s == 0
