"""The watch's job on a member that does not answer: it never ends without a verdict."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from binderbox import layout
from binderbox.artifacts import followable
from binderbox.federation.following import watch
from binderbox.federation.following.watch import Record
from binderbox.member.model import Member
from binderbox.parts.agent.checks import judge_moved
from binderbox.parts.agent.jobs import surroundings
from binderbox.parts.agent.jobs import watch as job
from binderbox.parts.agent.jobs.config import AgentConfig, parse_config
from binderbox.parts.agent.jobs.surroundings import moved
from binderbox.parts.agent.units import make_inputs
from tests.checks.fakes import facts
from tests.parts.agent.test_travels import DISK


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentConfig:
    for name in ("WATCH_RECORD", "WATCH_STATE", "DRAIN_FILE", "FOLLOW_SWITCH", "AUDIT_FILE"):
        monkeypatch.setattr(layout, name, str(tmp_path / name))
    monkeypatch.setattr(surroundings, "moved", lambda _: "")
    here = facts(address="127.0.0.1")  # where nobody answers at 443
    return parse_config(
        make_inputs(Member(domain="binder.example.org"), here, followable.load(), "b:1", disk=DISK).config
    )


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


def at_home(config: AgentConfig, tmp_path: Path) -> tuple[AgentConfig, str]:
    """The config as an install writes it on a host with this resolv.conf, and that file."""
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.53\n")
    return replace(config, resolvers=("192.0.2.53",), own_resolvers=("192.0.2.53",)), str(
        tmp_path / "resolv.conf"
    )


def test_a_host_where_the_install_found_it_has_not_moved(config: AgentConfig, tmp_path: Path) -> None:
    assert moved(*at_home(config, tmp_path)) == ""


def test_resolvers_that_a_provider_changes_are_told(config: AgentConfig, tmp_path: Path) -> None:
    config, resolv_conf = at_home(config, tmp_path)
    Path(resolv_conf).write_text("nameserver 198.51.100.53\nsearch example.net\n")
    assert moved(config, resolv_conf) == (
        "the host's resolvers were 192.0.2.53 at the last install and are 198.51.100.53; "
        "the resolvers of its pods were 192.0.2.53 at the last install and are 198.51.100.53"
    )


def test_an_address_that_a_provider_changes_is_told(config: AgentConfig, tmp_path: Path) -> None:
    config, resolv_conf = at_home(config, tmp_path)
    assert "no longer has the address 192.0.2.7" in moved(replace(config, address="192.0.2.7"), resolv_conf)


def test_a_host_that_has_moved_is_for_people_to_look_at(
    config: AgentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "moved", lambda _: "the host's resolvers were A and are B")
    assert job.run(config) == "moved"
    said = json.loads((tmp_path / "WATCH_STATE").read_text())
    assert said["why"].startswith("the host's resolvers were A and are B: run `binderbox install`")
    assert '"verdict":"moved"' in (tmp_path / "AUDIT_FILE").read_text().replace(" ", "")
    judged = judge_moved(said)
    assert (judged.verdict, judged.measured) == ("fail", "the host's resolvers were A and are B")
    assert judged.fix.startswith("run `binderbox install` again")
