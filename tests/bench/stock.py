"""Counts and times what pyinfra's own ssh connector does; it keeps no figures itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from unittest.mock import patch

from pyinfra.connectors.ssh import SSHConnector

COUNTED = ("run_shell_command", "put_file", "get_file")


@dataclass
class StockFigures:
    """Of all that ran while it was watched: seconds spent on connections, how many, commands and files."""

    connect_s: float = 0.0
    connections: int = 0
    round_trips: int = 0


@contextmanager
def watched() -> Iterator[StockFigures]:
    """Figures of what runs inside the block."""
    figures = StockFigures()
    connect = SSHConnector.connect

    def timed(self: SSHConnector) -> None:
        started = perf_counter()
        try:
            connect(self)
        finally:
            figures.connect_s += perf_counter() - started
            figures.connections += 1

    def counting(name: str) -> Any:
        original = getattr(SSHConnector, name)

        def call(self: SSHConnector, *args: Any, **kwargs: Any) -> Any:
            figures.round_trips += 1
            return original(self, *args, **kwargs)

        return call

    with patch.multiple(SSHConnector, connect=timed, **{name: counting(name) for name in COUNTED}):
        yield figures
