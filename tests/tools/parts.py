"""A pytest plugin that runs the suite in parts, cheapest first, and says at the end how long each took.

    unit -> rig build -> charts -> host -> e2e

Loaded by `make test` with `-p tests.tools.parts`. What the rig needs is built between unit and the rest, told
on the screen, and not at all when nothing is selected that needs it.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

PARTS = ("unit", "rig build", "charts", "host", "e2e")
TESTS = Path(__file__).parents[1]


def part_of(item: pytest.Item) -> str:
    """Which part a test belongs to: by its folder, else by the marker `host`."""
    inside = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
    if inside in ("charts", "e2e"):
        return inside
    return "host" if item.get_closest_marker("host") else "unit"


class Parts:
    """Seconds by part, as the wall clock has them: set-up, call and tear-down of each test."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.seconds: dict[str, float] = {}
        self.built = False

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: PARTS.index(part_of(item)))
        without = self.config.getoption("without_part")
        if left_out := [item for item in items if part_of(item) == without]:
            self.config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if part_of(item) != without]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> object:
        part = part_of(item)
        if part != "unit" and not self.built:
            self.built = True
            self._build_rig()
        started = time.monotonic()
        try:
            return (yield)
        finally:
            self._add(part, time.monotonic() - started)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("seconds by part")
        for part in PARTS:
            if part in self.seconds:
                terminalreporter.write_line(f"{part:<10} {self.seconds[part]:8.1f} s")

    def _build_rig(self) -> None:
        from tests.rig.bundle import bundle

        capture = self.config.pluginmanager.getplugin("capturemanager")
        started = time.monotonic()
        with capture.global_and_fixture_disabled():
            try:
                bundle()
            except Exception as error:  # each test that needs it will fail with the same words
                print(f"\nthe rig cannot be built: {error}")
        self._add("rig build", time.monotonic() - started)

    def _add(self, part: str, seconds: float) -> None:
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without-part", choices=PARTS, help="leave this part out")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Parts(config), "binderbox-parts")
