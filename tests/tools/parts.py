"""A pytest plugin that runs the suite in parts, cheapest first, and says at the end how long each took.

    unit -> charts -> host -> e2e

Loaded by `make test` with `-p tests.tools.parts`. What the rig needs is built before, told on the screen, and its
engine started, for all workers. With `-n 2 --dist loadgroup` the tests that share one host run on one worker, in
their order, and beside them all others, file by file: one Kubernetes alone leaves two processors half idle.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.rig.engine import engine_runs, ensure_engine, stop_engine

PARTS = ("unit", "charts", "host", "e2e")
TESTS = Path(__file__).parents[1]


def part_of(item: pytest.Item) -> str:
    """Which part a test belongs to: by its folder, else by the marker `host`."""
    inside = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
    if inside in ("charts", "e2e"):
        return inside
    return "host" if item.get_closest_marker("host") else "unit"


class Parts:
    """Puts tests in order, and those of one host together."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: PARTS.index(part_of(item)))
        without = config.getoption("without_part")
        if left_out := [item for item in items if part_of(item) == without]:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if part_of(item) != without]
        for item in items:
            item.user_properties.append(("part", part_of(item)))
            shares = "installed_host" in getattr(item, "fixturenames", ())
            item.add_marker(
                pytest.mark.xdist_group("installed" if shares else item.nodeid.partition("::")[0])
            )


class Wall:
    """What happens once, however many workers there are: the rig, and the clock on the wall."""

    def __init__(self) -> None:
        self.spans: dict[str, tuple[float, float]] = {}

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        from tests.rig.bundle import bundle

        self.engine_ran = engine_runs()
        capture = session.config.pluginmanager.getplugin("capturemanager")
        started = time.time()
        with capture.global_and_fixture_disabled():
            try:
                ensure_engine()
                bundle()
            except Exception as error:  # each test that needs it will fail with the same words
                print(f"\nthe rig cannot be built: {error}")
        self.spans["rig build"] = (started, time.time())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        part = dict(report.user_properties)["part"]
        start, stop = self.spans.get(part, (report.start, report.stop))
        self.spans[part] = (min(start, report.start), max(stop, report.stop))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("from the first test of a part to its last")
        for part, (start, stop) in self.spans.items():
            terminalreporter.write_line(f"{part:<10} {stop - start:8.1f} s")

    def pytest_sessionfinish(self) -> None:
        if not self.engine_ran:
            stop_engine()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without-part", choices=PARTS, help="leave this part out")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Parts(), "binderbox-parts")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Wall(), "binderbox-wall")
