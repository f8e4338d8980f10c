"""Progress: what is told when, to whom, and that silence is broken."""

from __future__ import annotations

import io
import json
import time

import jsonschema
import pytest
from rich.console import Console

from binderbox.output.live import Screen
from binderbox.output.progress import Events, Lines
from binderbox.output.report.style import Style
from tests.output.schemas import load
from tests.waiting import wait_until


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make_lines(verbose: int = 0) -> tuple[Lines, io.StringIO, Clock]:
    stream, clock = io.StringIO(), Clock()
    return Lines(stream, Style(), verbose=verbose, heartbeat_s=0, now=clock), stream, clock


def test_a_phase_is_one_line_at_its_start_and_one_at_its_end() -> None:
    lines, stream, _ = make_lines()
    lines.phase_started("Start k3s")
    lines.phase_done("Start k3s", 12.34, 3, 4)
    assert stream.getvalue().splitlines() == [
        "...  Start k3s",
        "ok   Start k3s  12.3 s  (3 changed, 4 unchanged)",
    ]
    assert [(phase.title, phase.changed) for phase in lines.finished] == [("Start k3s", 3)]


def test_a_wait_is_told_once_until_something_changes() -> None:
    lines, stream, _ = make_lines()
    lines.phase_started("Start k3s")
    for elapsed in range(5):
        lines.waiting("node", "not ready", float(elapsed))
    lines.waiting("node", "not ready", 5.0, "NodeNotReady: network plugin not ready")
    lines.waiting("pod coredns", "Pending", 6.0)
    assert stream.getvalue().splitlines()[1:] == [
        "     waiting 0.0 s for node: not ready",
        "     waiting 6.0 s for pod coredns: Pending",
    ]


def test_the_lines_of_a_build_are_for_the_log_and_the_heartbeat(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "binderbox")
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, Style(), heartbeat_s=30, now=clock)
    try:
        lines.phase_started("Prove it")
        for number in range(30):
            lines.waiting("launch of x", "building", float(number), f"#{number} RUN pip install")
        lines.waiting("launch of x", "launching", 30.0, "server requested")
        clock.now += 31
        lines.waiting("launch of x", "launching", 61.0, "still pulling")
        lines.beat()
    finally:
        lines.close()
    assert stream.getvalue().splitlines() == [
        "...  Prove it",
        "     waiting 0.0 s for launch of x: building (last event: #0 RUN pip install)",
        "     waiting 30.0 s for launch of x: launching (last event: server requested)",
        "     waiting 31.0 s for launch of x: launching (last event: still pulling)",
    ]
    assert [f"#{number} RUN pip install" in caplog.text for number in range(30)] == [True] * 30


def test_silence_is_broken_by_a_heartbeat_that_repeats_the_reason() -> None:
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, Style(), heartbeat_s=30, now=clock)
    try:
        lines.phase_started("Install BinderHub")
        clock.now += 29
        lines.beat()
        assert len(stream.getvalue().splitlines()) == 1
        clock.now += 2
        lines.beat()
        lines.waiting("pod hub", "0/1 ready", 31)
        clock.now += 31
        lines.beat()
    finally:
        lines.close()
    assert stream.getvalue().splitlines()[1:] == [
        "     still: Install BinderHub, 31.0 s",
        "     waiting 31.0 s for pod hub: 0/1 ready",
        "     waiting 1 min 2 s for pod hub: 0/1 ready",
    ]


def test_the_heartbeat_beats_by_itself_and_stops() -> None:
    stream = io.StringIO()
    lines = Lines(stream, Style(), heartbeat_s=0.05)
    lines.phase_started("Start k3s")
    wait_until(lambda: "still: Start k3s" in stream.getvalue(), 5, "a beat")
    lines.close()
    told = stream.getvalue()
    time.sleep(0.15)
    assert stream.getvalue() == told


def test_details_are_for_those_who_ask() -> None:
    quiet, quiet_stream, _ = make_lines()
    loud, loud_stream, _ = make_lines(verbose=1)
    for progress in (quiet, loud):
        progress.detail("write /etc/systemd/system/k3s.service")
        progress.note("the first run takes about 5 min")
    assert quiet_stream.getvalue() == "     the first run takes about 5 min\n"
    assert "k3s.service" in loud_stream.getvalue()


def test_a_reader_who_leaves_does_not_stop_the_work() -> None:
    lines, stream, _ = make_lines()
    stream.close()
    lines.phase_started("Start k3s")
    lines.phase_done("Start k3s", 1, 0, 0)
    assert len(lines.finished) == 1


def test_every_event_line_fits_its_schema() -> None:
    told: list[str] = []
    clock = Clock()
    events = Events(told.append, verbose=1, heartbeat_s=30, now=clock)
    try:
        events.phase_started("Start k3s")
        clock.now += 31
        events.beat()
        events.waiting("node", "not ready", 1.23456)
        events.detail("a file")
        events.note("größer")
        events.phase_done("Start k3s", 1.0, 1, 2)
        events.phase_failed("Install the registry", 2.0)
    finally:
        events.close()
    parsed = [json.loads(line) for line in told]
    for event in parsed:
        jsonschema.validate(event, load("event"))
    assert [(event["type"], event.get("event")) for event in parsed] == [
        ("phase", "started"),
        ("phase", "running"),
        ("waiting", None),
        ("detail", None),
        ("note", None),
        ("phase", "done"),
        ("phase", "failed"),
    ]
    assert parsed[2]["seconds"] == 1.235


def test_a_screen_shows_what_it_waits_for_in_one_line_of_its_width() -> None:
    output, paper = io.StringIO(), io.StringIO()
    screen = Screen(Style(), console=Console(file=output, force_terminal=True, width=60, color_system=None))
    screen.phase_started("Install BinderHub")
    screen.waiting("pod binderhub/hub-5f7", "containers not ready " * 5, 3, "Pulling image")
    Console(file=paper, width=60).print(screen.line())
    screen.phase_done("Install BinderHub", 3.0, 1, 0)
    screen.close()
    shown = paper.getvalue().splitlines()
    assert len(shown) == 1
    assert "waiting for pod binderhub/hub" in shown[0]
    assert len(shown[0].rstrip()) <= 60
    assert output.getvalue().rstrip().endswith("ok   Install BinderHub  3.0 s  (1 changed, 0 unchanged)")
