"""The firewall's first load counts once somebody has come in past it: its units start at boot from then on."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from binderbox import layout
from binderbox.commands.reached import AT_BOOT, still_reached
from binderbox.errors import StepFailed
from binderbox.world.ssh.shell import Output

TIMER = f"{layout.TAKE_BACK_UNIT}.timer"
UNITS = (layout.FIREWALL_UNIT, layout.BACKSTOP_UNIT)
PLAN: Any = SimpleNamespace(facts=SimpleNamespace(ssh_ports=(22, 2222)))
# Stands where systemctl does: a folder says what is active, another what starts at boot, a file what was asked.
SYSTEMCTL = """\
#!/bin/sh
cd "$(dirname "$0")"; echo "$*" >>asked
[ "$1" = -q ] && shift
verb=$1; shift
case $verb in
is-active) [ -e "active/$1" ] ;;
is-enabled) [ -e "boot/$1" ] ;;
enable) for unit; do : >"boot/$unit"; done ;;
stop) [ -e "active/$1" ] && rm "active/$1" || exit 5 ;;
esac
"""


class Machine:
    """A host that runs sh text here, and whose logins go as `why` says."""

    name = "h"

    def __init__(self, directory: Path, why: str, active: tuple[str, ...], boot: tuple[str, ...]) -> None:
        self.directory = directory
        self.connection = SimpleNamespace(comes_in_anew=lambda: why)
        for kind, units in {"active": active, "boot": boot}.items():
            (directory / kind).mkdir()
            for unit in units:
                (directory / kind / unit).touch()
        program = directory / "systemctl"
        program.write_text(SYSTEMCTL)
        program.chmod(0o755)

    def sh(self, script: str, **_: Any) -> Output:
        environment = {**os.environ, "PATH": f"{self.directory}:{os.environ['PATH']}"}
        done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, check=False)
        return Output(done.returncode, done.stdout, done.stderr)

    def run(self, argv: list[str], **_: Any) -> Output:
        return self.sh(shlex.join(argv))

    def units(self, kind: str) -> set[str]:
        return {path.name for path in (self.directory / kind).iterdir()}

    def reach(self, *, dry: bool = False) -> tuple[str, ...]:
        return still_reached(self, PLAN, dry)  # type: ignore[arg-type]


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., Machine]:
    def make(why: str = "", active: tuple[str, ...] = UNITS, boot: tuple[str, ...] = ()) -> Machine:
        return Machine(tmp_path, why, active, boot)

    return make


def test_the_first_login_past_it_ends_the_timer_and_keeps_the_firewall(
    machine: Callable[..., Machine],
) -> None:
    host = machine(active=(*UNITS, TIMER))
    assert host.reach(dry=True) == (AT_BOOT,)
    assert host.units("active") == {*UNITS, TIMER}
    assert host.reach() == (AT_BOOT,)
    assert (host.units("active"), host.units("boot")) == (set(UNITS), set(UNITS))
    assert (host.reach(dry=True), host.reach()) == ((), ())


def test_where_nobody_gets_in_it_does_not_start_at_boot(machine: Callable[..., Machine]) -> None:
    host = machine("Connection timed out", active=(*UNITS, TIMER))
    with pytest.raises(StepFailed, match="taken back within two minutes") as caught:
        host.reach()
    assert "port 22, 2222" in caught.value.cause
    assert "ingress_allow" in caught.value.remedy
    assert (host.units("active"), host.units("boot")) == ({*UNITS, TIMER}, set())


def test_an_installed_member_is_told_and_not_said_to_be_taken_back(machine: Callable[..., Machine]) -> None:
    host = machine("Connection timed out", boot=UNITS)
    with pytest.raises(StepFailed) as caught:
        host.reach()
    assert caught.value.message == "h: the firewall keeps new ssh connections out"


def test_a_firewall_that_was_taken_back_meanwhile_does_not_count_as_loaded(
    machine: Callable[..., Machine],
) -> None:
    host = machine(active=())
    with pytest.raises(StepFailed, match="was taken back") as caught:
        host.reach()
    assert "binderbox install h" in caught.value.remedy
    assert host.units("boot") == set()
