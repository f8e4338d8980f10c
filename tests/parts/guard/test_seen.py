"""What is wrong of what the node saw of cryptnono, in words; and what its checks make of it."""

from __future__ import annotations

from typing import Any

import pytest

from binderbox.checks.core import run_checks
from binderbox.parts.checks import of
from binderbox.parts.guard import seen
from tests.checks.fakes import FakeProbe

WELL: dict[str, Any] = {
    "kernel": "6.12.118",
    "headers": True,
    "attaches": True,
    "why": "",
    "bans": {"faults": [], "digest": "d", "strings": 2, "allowed": 0, "addresses": 1},
    "detectors": {
        "execwhacker": {"attached": True, "why": "", "killed_s": 0.1},
        "flowkiller": {"attached": True, "why": "", "killed_s": 0.2},
        "monero": {"attached": True, "why": ""},
    },
    "kills": [],
}
IDS = ("BBX-G03", "BBX-G04", "BBX-G05", "BBX-G06")
KILL = {
    "at": "2026-11-29T10:00:00Z",
    "pid": 7,
    "detector": "execwhacker",
    "why": "a banned word",
    "command": "cron",
    "pod": "",
    "step": "",
}


def but(**changed: Any) -> dict[str, Any]:
    return {**WELL, **changed}


def detector(name: str, **changed: Any) -> dict[str, Any]:
    return but(detectors={**WELL["detectors"], name: {**WELL["detectors"][name], **changed}})


def verdicts(state: dict[str, Any] | None) -> dict[str, tuple[str, str]]:
    found = run_checks(of("guard"), FakeProbe(guard=state))
    return {one.id: (one.verdict, f"{one.measured} | {one.fix}") for one in found if one.id in IDS}


def test_all_is_well() -> None:
    assert {verdict for verdict, _ in verdicts(WELL).values()} == {"pass"}
    assert seen.kills(WELL)


def test_one_that_compiles_is_no_fault_yet_and_kills_nobody() -> None:
    state = detector("monero", attached=False, why="started then, not attached yet", starting=True)
    assert seen.not_attached(state) == []
    assert verdicts(state)["BBX-G03"] == ("skip", "being started: monero | ")
    assert not seen.kills(state)


def test_before_the_first_look_nothing_is_judged() -> None:
    assert {verdict for verdict, _ in verdicts(None).values()} == {"skip"}
    assert not seen.kills(None)


@pytest.mark.parametrize(
    ("state", "id", "words"),
    [
        (but(headers=False), "BBX-G03", "apt-get install linux-headers-6.12.118"),
        (but(why="kubectl: exit code 1"), "BBX-G03", "kubectl: exit code 1"),
        (
            detector("monero", attached=False, why="CrashLoopBackOff: it"),
            "BBX-G03",
            "monero: CrashLoopBackOff: it",
        ),
        (detector("execwhacker", killed_s=None), "BBX-G04", "execwhacker: its canary lived"),
        (detector("flowkiller", killed_s=2.5), "BBX-G04", "flowkiller: its canary was killed after 2.5 s"),
        (
            but(bans={"faults": ["banned-strings:2: is no"], "digest": "d"}),
            "BBX-G05",
            "secrets set host.example banned-strings",
        ),
        (but(kills=[{**KILL, "host": True}]), "BBX-G06", "cron (a banned word)"),
    ],
)
def test_each_fault_is_its_own_checks(state: dict[str, Any], id: str, words: str) -> None:
    found = verdicts(state)
    assert [one for one, (verdict, _) in found.items() if verdict == "fail"] == [id]
    assert words in found[id][1]


def test_a_double_is_no_proof_of_a_kill_and_a_kill_in_a_pod_is_no_alarm() -> None:
    assert verdicts(but(attaches=False))["BBX-G04"][0] == "skip"
    assert not seen.kills(but(attaches=False))
    assert (
        verdicts(but(kills=[{**KILL, "pod": "binderhub/jupyter-a", "host": False}]))["BBX-G06"][0] == "pass"
    )


def test_kills_are_kept_once_for_a_day_and_no_more_than_so_many() -> None:
    old, new = {**KILL, "at": "2026-11-28T09:00:00Z"}, [{**KILL, "pid": n} for n in range(9)]
    kept = seen.merged([old, *new], new, since="2026-11-28T10:00:00", at_most=5)
    assert [one["pid"] for one in kept] == [4, 5, 6, 7, 8]


def test_metrics_in_prometheus_text() -> None:
    text = (
        '# TYPE a counter\ncryptnono_execwhacker_processes_checked_total{source="execwhacker.bpf"} 1204.0\n'
    )
    assert seen.looked_at("execwhacker", text) == 1204
    assert seen.looked_at("flowkiller", text) is None
    assert seen.looked_at("monero", text) is None
