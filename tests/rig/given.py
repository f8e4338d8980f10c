"""A machine that somebody else has made, a Vagrant box for example, with the interface of the rig's own hosts.

BINDERBOX_TEST_HOST       its alias in the ssh config
BINDERBOX_TEST_SSH        that ssh config
BINDERBOX_TEST_POWER_CUT  a command that takes its power and gives it back, where there is one
"""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.rig.host import ROOT, Account
from tests.rig.overssh import run_as_root, wait_other_boot

BOOT_S = 600


@dataclass
class GivenHost:
    """Whoever logs in is root, or becomes it by sudo without a password. `save` and `stop` leave it as it is."""

    alias: str
    ssh_config: Path
    account: Account = ROOT
    address: str = field(default="", init=False)

    def __post_init__(self) -> None:
        shown = subprocess.run(
            ["ssh", "-F", str(self.ssh_config), "-G", self.alias], capture_output=True, text=True, check=True
        )
        self.address = dict(line.split(" ", 1) for line in shown.stdout.splitlines())["hostname"]

    @property
    def name(self) -> str:
        return self.alias

    def exec(self, argv: list[str], *, stdin: bytes | None = None, timeout_s: float = 300) -> str:
        """Run a command as root and return its stdout; raises StepFailed."""
        words = ["ssh", "-F", str(self.ssh_config), "-o", "BatchMode=yes", self.alias]
        command = f"sudo -n -- {shlex.join(argv)}"
        return run_as_root(words, command, stdin=stdin, timeout_s=timeout_s, name=self.alias)

    def reboot(self, *, power_cut: bool = False) -> None:
        before = self.booted_at()
        if power_cut:
            command = os.environ.get("BINDERBOX_TEST_POWER_CUT")
            if not command:
                pytest.skip("BINDERBOX_TEST_POWER_CUT names no command that takes this machine's power")
            subprocess.run(["sh", "-c", command], check=True, timeout=BOOT_S)
        else:
            subprocess.run(
                ["ssh", "-F", str(self.ssh_config), self.alias, "sudo systemctl reboot"], check=False
            )
        wait_other_boot(self.booted_at, before, BOOT_S)

    def booted_at(self) -> str:
        """Which boot this is."""
        return self.exec(["cat", "/proc/sys/kernel/random/boot_id"], timeout_s=30)

    def save(self, directory: Path) -> None:
        """Nothing: the next stage goes on from the machine as it is."""

    def stop(self) -> None:
        """Nothing: whoever made it ends it."""


def given_host() -> GivenHost | None:
    alias = os.environ.get("BINDERBOX_TEST_HOST")
    return GivenHost(alias, Path(os.environ["BINDERBOX_TEST_SSH"]).absolute()) if alias else None
