"""drain and resume on the command line: what they ask for, what they answer, and what `status` says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from binderbox.cli import main
from binderbox.commands import drain as draining
from binderbox.commands import status as status_command
from binderbox.commands.drain import DrainRequest, ResumeRequest
from binderbox.commands.drained import public
from binderbox.decide.drain import Drain
from binderbox.errors import Unhealthy
from binderbox.output.results import DrainResult, InFlight, StatusResult
from tests.output.schemas import validate_output

DRAIN = Drain("new disk", "me@here", "2026-01-01T00:00:00+00:00", True, "s3cr3t")
LEFT = InFlight(2, 1, "2026-01-01T07:11:00+00:00")
DRAINED = DrainResult("h", True, True, 503, LEFT, public(DRAIN))
RESUMED = DrainResult("h", False, False, 200, InFlight(0, 0), None)


class Asked:
    """Stands where the doing is; keeps the requests and the answer to a question."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests: list[Any] = []
        self.question = ""
        monkeypatch.setattr(draining, "drain", self.drain)
        monkeypatch.setattr(draining, "resume", self.resume)
        monkeypatch.setattr(
            status_command, "status", lambda *_: StatusResult("h", "healthy", drain=public(DRAIN))
        )

    def drain(self, request: Any, progress: Any, confirm: Any) -> DrainResult:
        self.requests.append(request)
        if self.question:
            confirm(self.question)
        progress.waiting("h to be empty", "2 sessions, 1 builds", 3.0)
        return DRAINED

    def resume(self, request: Any, progress: Any) -> DrainResult:
        self.requests.append(request)
        return RESUMED


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asked:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Asked(monkeypatch)


@pytest.mark.parametrize("command", ["drain", "resume", "status"])
def test_json_fits_its_schema_and_holds_no_key(asked: Asked, capsys: Any, command: str) -> None:
    assert main([command, "h", "--json"]) == 0
    out = capsys.readouterr().out
    told = validate_output(out, command)
    assert (told["host"], told["exit"]) == ("h", 0)
    assert "s3cr3t" not in out


def test_text_says_who_is_on_it_until_when_and_that_launches_are_refused(asked: Asked, capsys: Any) -> None:
    assert main(["drain", "h"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "  drained since 2026-01-01T00:00:00+00:00 by me@here: new disk; launches are refused",
        "  /health answers 503",
        "  on it: 2 sessions, 1 build; the last session ends by 2026-01-01T07:11:00+00:00",
        "h: drained",
    ]
    main(["resume", "h"])
    assert capsys.readouterr().out.endswith(
        "h: in rotation as soon as the redirector looks again, as it was before\n"
    )
    main(["status", "h"])
    assert "drained since 2026-01-01T00:00:00+00:00 by me@here: new disk" in capsys.readouterr().out


def test_flags_reach_the_request(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    main(["drain", "h"])
    main(["drain", "h", "--reason", "x", "--wait", "--federation", "http://f", "--lock-wait", "3"])
    monkeypatch.setenv("BINDERBOX_FEDERATION", "http://g")
    main(["drain", "h"])
    main(["resume", "h", "--lock-wait", "4"])
    plain, full, by_variable, resume = asked.requests
    assert (plain.federation_url, plain.wait, plain.reason) == ("https://mybinder.org", False, "")
    assert full == DrainRequest(plain.connection, "x", "http://f", True, 3.0)
    assert by_variable.federation_url == "http://g"
    assert resume == ResumeRequest(plain.connection, 4.0)


def test_a_question_that_nobody_can_answer_ends_it_and_yes_answers_it(asked: Asked, capsys: Any) -> None:
    asked.question = "Drain it all the same?"
    assert main(["drain", "h"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert main(["drain", "h", "--yes"]) == 0


def test_a_failure_fits_the_schema_too(asked: Asked, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> DrainResult:
        raise Unhealthy("h: the node is drained, but /health does not say so", remedy="binderbox install h")

    monkeypatch.setattr(draining, "resume", fail)
    assert main(["resume", "h", "--json"]) == 5
    assert validate_output(capsys.readouterr().out, "resume")["error"]["code"] == "BBX-501"
