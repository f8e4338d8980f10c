"""What `federation follow` makes of a node's answer."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from binderbox.commands.follow import make_answer, make_diff, render_follow
from binderbox.output.jsonlines import result_line
from tests.output.schemas import validate_output

OLD = {"builder_info": {"build_image": "a:1"}, "binderhub": "1", "builder": "a:1"}
NEW = {"builder_info": {"build_image": "a:2"}, "binderhub": "1", "builder": "a:2"}


def found(**changes: Any) -> dict[str, Any]:
    seen = {"prime": NEW, "own": OLD, "prime_error": "", "held": None, "minute_of_day": 0, "now": False}
    decision = {"action": "follow", "verdict": "following", "why": "the prime runs something else"}
    return {
        "seen": seen,
        "decision": decision,
        "followed": None,
        "failed": [],
        "last": None,
        "guard": {"followed": None, "failed": []},
        **changes,
    }


def test_the_change_is_told_value_by_value() -> None:
    assert make_diff(OLD, NEW) == [
        "- builder: a:1",
        "+ builder: a:2",
        "- builder_info.build_image: a:1",
        "+ builder_info.build_image: a:2",
    ]
    assert make_diff(OLD, OLD) == []
    assert make_diff(None, {"binderhub": "1"}) == ["+ binderhub: 1"]


def test_its_json_holds_to_the_schema() -> None:
    answer = make_answer("host.example", found())
    result = validate_output(result_line("federation follow", answer, 0), "federation-follow")
    assert result["verdict"] == "following"
    with pytest.raises(jsonschema.ValidationError):
        validate_output(
            result_line("federation follow", {**answer, "verdict": "fine"}, 0), "federation-follow"
        )


def test_what_came_of_a_run_is_the_answer_of_a_run() -> None:
    last = {"verdict": "rolled-back", "why": "no launch", "drift": ["x"], "at": "2026-11-22T02:00:00Z"}
    assert make_answer("h", found(last=last), ran=True)["verdict"] == "rolled-back"
    assert make_answer("h", found(last=last))["verdict"] == "following"  # of another prime's versions
    same = {**last, "prime": found()["seen"]["prime"]}
    assert make_answer("h", found(last=same))["verdict"] == "rolled-back"


def test_the_text_ends_with_the_verdict_and_has_failures_and_drift() -> None:
    failed = [{"commit": "c" * 40, "chart": "1.2", "build_image": "a:2", "at": "today", "why": "no launch"}]
    last = {"verdict": "failed", "why": "w", "drift": ["cull.timeout: ours is 600"], "at": "now"}
    text = render_follow(make_answer("host.example", found(failed=failed, last=last)))
    assert "no launch" in text
    assert "cull.timeout" in text
    assert text.splitlines()[-1] == "host.example: following: the prime runs something else"
