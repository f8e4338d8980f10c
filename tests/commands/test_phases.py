"""In which order a member comes up, and what is proved when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from binderbox.checks.core import Check, failed, passed
from binderbox.commands import phases
from binderbox.commands.phases import INSTALL, Phase, run
from binderbox.errors import WaitTimedOut
from binderbox.parts.checks import INSTALLED
from binderbox.world.pyinfra.deploying import DeployResult
from tests.checks.fakes import FakeProbe

DONE: list[str] = []


class Quiet:
    def __getattr__(self, name: str) -> Any:
        return lambda *args: None


class Host:
    name = "h"


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    DONE.clear()

    def deployed(host: Any, deploy: Any, inputs: str) -> DeployResult:
        DONE.append(inputs)
        return DeployResult(changed=(inputs,))

    def of(*categories: str) -> Sequence[Check[Any]]:
        DONE.append(f"proof of {' '.join(categories)}")
        return [
            Check(f"BBX-{one}", one, f"{one} is well", lambda probe, one=one: one, judge, "AGAIN")
            for one in categories
        ]

    def judge(category: str) -> Any:
        return failed("it is not", "well", "mend it") if category == "bad" else passed("it is")

    monkeypatch.setattr(phases.deploying, "run", deployed)
    monkeypatch.setattr(phases.checks, "of", of)


def phase(name: str, **more: Any) -> Phase:
    made = Phase(name, lambda: None, inputs=lambda plan: name, proof=name)
    return replace(made, within_s=0.0, **more)


class Probe(FakeProbe):
    def why(self, category: str) -> str:
        return f"why {category}"


def carried_out(*some: Phase) -> phases.Outcome:
    return run(some, Host(), None, Probe(), Quiet(), lambda step: None)  # type: ignore[arg-type]


def test_pods_of_phases_that_do_not_wait_start_while_the_next_are_laid_out() -> None:
    found = carried_out(phase("a"), phase("b", waits=False), phase("c", waits=False), phase("d"), phase("e"))
    assert DONE == ["a", "proof of a", "b", "c", "d", "proof of b c d", "e", "proof of e"]
    assert [one.category for one in found.checks] == ["a", "b", "c", "d", "e"]


def test_phases_that_are_proved_together_have_the_time_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def prove(checks: Any, probe: Any, progress: Any, *, within_s: float) -> tuple[()]:
        given.append(within_s)
        return ()

    monkeypatch.setattr(phases, "prove", prove)
    times = {"b": 10.0, "c": 20.0, "d": 40.0}
    carried_out(*(replace(phase(name, waits=name == "d"), within_s=times[name]) for name in times))
    assert given == [phases.patient(70)]


def test_what_was_not_waited_for_is_missed_where_it_is_waited_for() -> None:
    with pytest.raises(WaitTimedOut, match="d: bad is well: no, it is not") as missed:
        carried_out(phase("bad", waits=False), phase("d"), phase("e"))
    assert missed.value.cause == "why bad"
    assert "e" not in DONE


def test_every_phase_of_an_install_is_proved_by_its_end_and_in_the_order_in_which_check_asks() -> None:
    proofs = [one.proof for one in INSTALL if one.proof]
    assert proofs == [one for one in INSTALLED if one in proofs]
    last = max(n for n, one in enumerate(INSTALL) if one.proof)
    assert INSTALL[last].waits
    builder = next(n for n, one in enumerate(INSTALL) if one.proof == "builder")
    assert INSTALL[builder].waits, "who launches, the agent's watch too, finds all that BinderHub needs"
    assert {one.proof for one in INSTALL[builder + 1 :]} <= {"agent", ""}
