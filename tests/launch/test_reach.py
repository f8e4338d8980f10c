"""What is judged of what strangers' code could have."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from binderbox.cli.exits import exit_code_of
from binderbox.commands.abuse import rows_of
from binderbox.launch.reach import OF_NOTEBOOKS, allowed_targets, forbidden_targets, judge_reach
from binderbox.launch.repository import probe
from binderbox.member.model import Networks
from binderbox.output.report.abuse import render_abuse
from binderbox.output.results import AbuseResult

FACTS: Any = SimpleNamespace(address="45.9.9.7", ssh_ports=(2222,))
NETWORKS = Networks()
FORBIDDEN, ALLOWED = forbidden_targets(FACTS, NETWORKS), allowed_targets(FACTS)
WELL: dict[str, bool | str] = {
    **dict.fromkeys(FORBIDDEN, "[Errno 111] Connection refused"),
    **dict.fromkeys(ALLOWED, True),
}


def test_all_refused_and_all_that_works_is_well() -> None:
    assert judge_reach(WELL, FACTS, NETWORKS) == ()


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_is_had_is_a_fault_and_so_is_silence(name: str) -> None:
    assert judge_reach(WELL | {name: True}, FACTS, NETWORKS) == (f"{name} is within reach",)
    (silent,) = judge_reach(WELL | {name: "timed out"}, FACTS, NETWORKS)
    assert silent == f"{name} is met with silence in place of a refusal"


@pytest.mark.parametrize("name", ALLOWED)
def test_what_must_work_and_does_not_is_one_too(name: str) -> None:
    (wrong,) = judge_reach(WELL | {name: "timed out"}, FACTS, NETWORKS)
    assert wrong == f"{name} is out of reach (timed out)"


def test_a_build_step_keeps_raw_packets_and_a_notebook_does_not() -> None:
    seen = WELL | dict.fromkeys(OF_NOTEBOOKS, True)
    assert judge_reach(seen, FACTS, NETWORKS, by_build=True) == ()
    assert len(judge_reach(seen, FACTS, NETWORKS)) == len(OF_NOTEBOOKS)


def test_the_table_says_who_could_what_and_its_exit_code_that_something_is_wrong() -> None:
    well = AbuseResult("host.example", rows_of(WELL, WELL, FACTS, NETWORKS))
    assert exit_code_of(well) == 0
    assert render_abuse(well).splitlines()[-1] == f"host.example: {len(WELL)} of {len(WELL)} as they must be"
    bad = AbuseResult("host.example", rows_of(WELL, WELL | {"mail": True}, FACTS, NETWORKS))
    assert exit_code_of(bad) == 5
    lines = render_abuse(bad).splitlines()
    assert "     build: mail is within reach" in lines
    assert lines[-1] == f"host.example: {len(WELL) - 1} of {len(WELL)} as they must be"


def test_a_probe_asks_each_of_them_the_costly_ones_last(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def reach(target: str) -> bool:
        asked.append(target)
        return True

    monkeypatch.setattr(probe, "reach", reach)
    (tmp_path / "targets.json").write_text(json.dumps(FORBIDDEN | ALLOWED))
    probe.main(str(tmp_path / "targets.json"))
    assert cast(dict[str, bool], json.loads(capsys.readouterr().out)) == dict.fromkeys(
        FORBIDDEN | ALLOWED, True
    )
    assert sorted(one.partition(":")[0] for one in asked[-2:]) == ["scan", "tunnel"]
