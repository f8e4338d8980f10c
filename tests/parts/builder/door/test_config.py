from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from binderbox.parts.builder.door.config import ConfigFault, parse_config

from .conftest import make_config


def _text(state: Path, **changes: Any) -> str:
    return json.dumps({**asdict(make_config(state)), **changes})


def test_a_config_is_read_as_it_was_written(state: Path) -> None:
    assert parse_config(_text(state)) == make_config(state)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"build_slots": 0}, "build_slots: expected at least 1, found 0"),
        ({"build_slots": True}, "build_slots: expected int, found True"),
        ({"socket": 3}, "socket: expected str, found 3"),
        ({"ctr": "ctr"}, "ctr: expected a list of strings, found 'ctr'"),
        ({"bild_slots": 3}, "bild_slots: unknown"),
    ],
)
def test_a_fault_names_its_key(state: Path, changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigFault) as caught:
        parse_config(_text(state, **changes))
    assert str(caught.value) == fault


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigFault, match=r"api_server: missing.*x: unknown"):
        parse_config('{"x": 1}')
