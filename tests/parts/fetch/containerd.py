"""A containerd of a test's own, with ctr as k3s brings it, in an Internet of the rig."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Self

from tests.rig import binaries
from tests.rig.internet.machine import Machine
from tests.waiting import wait_until

# Images are pulled and unpacked, and nothing runs.
CONFIG = """version = 3
root = "{0}/root"
state = "{0}/state"
disabled_plugins = ["io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri"]
[grpc]
address = "{0}/containerd.sock"
"""


class Containerd:
    """From `with`, until its block ends. `ctr` are the words that ask it, as pulling.CTR."""

    def __init__(self, machine: Machine, directory: Path) -> None:
        self._machine, self._programs = machine, binaries.containerd()
        self._config, self.socket = directory / "config.toml", directory / "containerd.sock"
        self._config.write_text(CONFIG.format(directory))
        words = (str(self._programs / "ctr"), f"--address={self.socket}", "--namespace=k8s.io")
        script = directory / "ctr"
        script.write_text(f'#!/bin/sh\nexec {shlex.join(machine.words(*words))} "$@"\n')
        script.chmod(0o755)
        self.ctr = (str(script),)

    def __enter__(self) -> Self:
        words = (str(self._programs / "containerd"), "--config", str(self._config), "--log-level", "error")
        self._process = self._machine.start(*words)
        wait_until(self.socket.exists, 30, "containerd")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=30)

    def ask(self, *words: str) -> str:
        done = subprocess.run([*self.ctr, *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout
