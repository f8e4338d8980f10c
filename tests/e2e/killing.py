"""Starting the program and killing it in the middle of a phase, as a power cut at the client would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.rig.client import Client, install_arguments, render_member
from tests.rig.host import RigHost


@dataclass
class Running:
    """An install that runs; `lines` are the JSON events it has said so far."""

    process: subprocess.Popen[str]
    lines: list[dict[str, Any]]

    def kill(self) -> None:
        """SIGKILL for the program and every ssh that it started."""
        ended = self.process.poll()
        assert ended is None, f"nothing was left to kill: exit code {ended}\n{self.lines[-1:]}"
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def titles(self) -> list[str]:
        return [
            line["title"]
            for line in self.lines
            if line.get("type") == "phase" and line.get("event") == "started"
        ]


def start_install(client: Client, host: RigHost) -> Running:
    config = client.home / f"{host.alias}.yaml"
    config.write_text(render_member({}), encoding="utf-8")
    process = client.start(host, "install", *install_arguments(config), "--json")
    return Running(process, [])


def run_into(client: Client, host: RigHost, phase: str, *, linger_s: float) -> Running:
    """Start an install, and come back `linger_s` after it entered the phase; fails if it never does."""
    running = start_install(client, host)
    entered = threading.Event()
    # A full stderr pipe would stop the program.
    threading.Thread(
        target=lambda: running.process.stderr and running.process.stderr.read(), daemon=True
    ).start()

    def read() -> None:
        assert running.process.stdout
        for text in running.process.stdout:
            running.lines.append(json.loads(text))
            if phase in running.titles:
                entered.set()
        entered.set()

    threading.Thread(target=read, daemon=True).start()
    assert entered.wait(600), f"{phase} was never entered: {running.lines[-3:]}"
    assert phase in running.titles, f"the program ended before {phase}: {running.lines[-1]}"
    with suppress(subprocess.TimeoutExpired):
        running.process.wait(linger_s)
    return running
