"""The recorded scenarios (recorded/README.md) as the arguments of rules, and as what members must answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from binderbox.federation.redirector.config import RedirectorConfig, make_config
from binderbox.federation.redirector.rules import Answer, MemberSeen, with_program_defaults
from tests.federation.prime import VERSIONS, make_health

FILE = Path(__file__).parent / "recorded" / "scenarios.jsonl"
SCENARIOS: dict[str, dict[str, Any]] = {
    one["scenario"]: one for one in map(json.loads, FILE.read_text().splitlines())
}
URLS = {"a": "http://127.0.0.1:18101", "b": "http://127.0.0.1:18102", "c": "http://127.0.0.1:18103"}
NO_JSON = Answer(200, error="no JSON")


def make_section(scenario: Mapping[str, Any], urls: Mapping[str, str] = URLS) -> dict[str, Any]:
    """Its configuration file, with the members at these addresses."""
    hosts = {
        name: entry
        and {
            **entry,
            "url": urls[name],
            "health": f"{urls[name]}/health",
            "versions": f"{urls[name]}/versions",
        }
        for name, entry in scenario["config"]["hosts"].items()
    }
    return {**scenario["config"], "hosts": hosts}


def config_of(scenario: Mapping[str, Any]) -> RedirectorConfig:
    return make_config(with_program_defaults(make_section(scenario)))


def seen_in(scenario: Mapping[str, Any]) -> dict[str, MemberSeen]:
    """What one look at each member finds."""
    return {name: _seen(name, scenario) for name in "abc"}


def _seen(name: str, scenario: Mapping[str, Any]) -> MemberSeen:
    if name in scenario["stopped"]:
        gone = Answer(0, error="connection refused")
        return MemberSeen(name, gone, gone)
    told = scenario["members"].get(name, {})
    answers = {
        "/versions": Answer(200, told.get("versions", VERSIONS)),
        "/health": Answer(told.get("status", 200), told.get("health", make_health())),
    }
    answers |= dict.fromkeys(told.get("html", ()), NO_JSON)
    answers |= {
        path: Answer(0, error="no answer in time")
        for path, seconds in told.get("sleep", {}).items()
        if seconds > scenario["config"]["check"]["timeout"]
    }
    return MemberSeen(name, answers["/versions"], answers["/health"])


def distinct_path(number: int) -> str:
    return f"/build/gh/org{number % 97}/repo{number}/HEAD"
