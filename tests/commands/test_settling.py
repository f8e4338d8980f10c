"""k3s and the keeper were begun, and nobody waited: a phase ends when both are up, or says which one is not, and why."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from binderbox import layout
from binderbox.commands import settling
from binderbox.commands.settling import ENDED_OFTEN, k3s_runs
from binderbox.errors import StepFailed, WaitTimedOut
from binderbox.world.ssh.shell import Output

UP, STARTS, QUEUED = ("active", "running", 0, 0), ("activating", "start", 0, 7), ("inactive", "dead", 0, 8)
FAILED = ("failed", "failed", 1, 0)


class Machine:
    """By unit, the states that it goes through; the last one stays."""

    name, log = "h", SimpleNamespace(path="h.log")

    def __init__(self, k3s: list[Any], keeper: list[Any]) -> None:
        self.states = {layout.K3S_UNIT: k3s, layout.KEEPER_UNIT: keeper}

    def run(self, argv: list[str], **_: Any) -> Output:
        if argv[0] == "journalctl":
            return Output(0, f"last words of {argv[argv.index('--unit') + 1]}".encode(), b"")
        states = self.states[argv[-1]]
        active, sub, restarts, job = states.pop(0) if len(states) > 1 else states[0]
        text = f"ActiveState={active}\nSubState={sub}\nNRestarts={restarts}\nJob={job}\n"
        return Output(0, text.encode(), b"")


class Told(list[str]):
    def waiting(self, obj: str, reason: str, elapsed_s: float, last_event: str = "") -> None:
        self.append(f"{obj}: {reason}")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "time", SimpleNamespace(monotonic=iter(range(10**6)).__next__, sleep=lambda s: None))  # fmt: skip


def wait(k3s: list[Any], keeper: list[Any]) -> Told:
    told = Told()
    k3s_runs(Machine(k3s, keeper), told)  # type: ignore[arg-type]
    return told


def test_the_keeper_is_waited_for_after_k3s() -> None:
    told = wait([STARTS, STARTS, UP], [QUEUED, STARTS, UP])
    assert [one.partition(":")[0] for one in told] == ["k3s starts"] * 2 + [
        "the keeper of system pods starts"
    ] * 2
    assert wait([UP], [UP]) == []


def test_one_that_does_not_start_is_named_with_its_last_words() -> None:
    again = [("activating", "auto-restart", n, 9) for n in range(ENDED_OFTEN + 1)]
    for k3s, keeper, name, unit in (
        ([STARTS, FAILED], [QUEUED], "k3s", layout.K3S_UNIT),
        ([UP], [QUEUED, FAILED], "the keeper", layout.KEEPER_UNIT),
        ([UP], again, "the keeper", layout.KEEPER_UNIT),
    ):
        with pytest.raises(StepFailed, match=f"{name}.* does not start") as failed:
            wait(k3s, keeper)
        assert failed.value.cause == f"last words of {unit}"


def test_one_that_starts_for_ever_ends_the_wait() -> None:
    with pytest.raises(WaitTimedOut, match="the keeper of system pods was not ready within"):
        wait([UP], [STARTS])
