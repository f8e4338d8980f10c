"""Every recorded scenario again, live: to the small redirector of these tests, and to the real one where it is given.

So the rules are held to the real program twice: to what it did once, and to what it does now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.federation import upstream
from tests.federation.playing import Start, free_port, members_of, play
from tests.federation.recordings import SCENARIOS, make_section
from tests.federation.small_redirector import Ended, Redirector

RUNNING = [one for one in SCENARIOS.values() if "exit_status" not in one]
ENDING = [one for one in SCENARIOS.values() if "exit_status" in one]
needs_upstream = pytest.mark.skipif(bool(upstream.why_not()), reason=upstream.why_not())


def ours(section: Mapping[str, Any]) -> Redirector:
    return Redirector(section, seed=1)


def theirs(tmp_path: Path) -> Callable[[Mapping[str, Any]], upstream.UpstreamRedirector]:
    def start(section: Mapping[str, Any]) -> upstream.UpstreamRedirector:
        port = free_port()
        folder = tmp_path / str(port)
        folder.mkdir()
        return upstream.UpstreamRedirector(section, folder, port)

    return start


def played(start: Start, at_once: int) -> list[str]:
    """All scenarios, a few at once because most of the time is waiting."""
    with ThreadPoolExecutor(at_once) as pool:
        return [wrong for found in pool.map(lambda one: play(one, start), RUNNING) for wrong in found]


def test_small_redirector_does_as_recorded() -> None:
    assert played(ours, 8) == []


@pytest.mark.parametrize("scenario", ENDING, ids=lambda one: str(one["scenario"]))
def test_small_redirector_ends_as_recorded(scenario: dict[str, Any]) -> None:
    with pytest.raises(Ended):
        ours(make_section(scenario))


@needs_upstream
@pytest.mark.timeout(300)
def test_real_redirector_does_as_recorded_and_as_the_rules_say(tmp_path: Path) -> None:
    assert played(theirs(tmp_path), 4) == []


@needs_upstream
@pytest.mark.parametrize("scenario", ENDING, ids=lambda one: str(one["scenario"]))
def test_real_redirector_ends_as_recorded(scenario: dict[str, Any], tmp_path: Path) -> None:
    with (
        members_of(scenario),
        pytest.raises(upstream.Ended) as ended,
        theirs(tmp_path)(make_section(scenario)),
    ):
        pass
    assert ended.value.status == scenario["exit_status"]
    assert str(ended.value).endswith(scenario["last_line"])
