"""What a phase waits for before it is proved: units that were begun and may take minutes, with what they are at."""

from __future__ import annotations

import time

from binderbox import layout
from binderbox.errors import StepFailed, WaitTimedOut
from binderbox.output.progress import Progress
from binderbox.patience import patient
from binderbox.world.host.hosts import Host

START_S = 1800  # k3s's first start on 2 slow CPUs took 7 minutes
FIRST_S, EVERY_S = 0.25, 1.0
ENDED_OFTEN = 5  # starts that ended by themselves, each 5 s (k3s) or 1 s after the one before it
LOG_LINES = 15
LOG_OF = ("journalctl", "--no-pager", "--output", "cat", "--unit")


def k3s_runs(host: Host, progress: Progress) -> None:
    """Wait until k3s and then the keeper say that they are up; raises StepFailed where one ends again and again, WaitTimedOut after START_S."""
    _runs(host, progress, layout.K3S_UNIT, "k3s")
    _runs(host, progress, layout.KEEPER_UNIT, "the keeper of system pods")


def _runs(host: Host, progress: Progress, unit: str, name: str) -> None:
    began, before = time.monotonic(), -1
    while True:
        active, sub, restarts, job = _state(host, unit)
        before = restarts if before < 0 else before
        if active == "active" and not job:
            return
        waited_s = time.monotonic() - began
        if (active in ("failed", "inactive") and not job) or restarts - before >= ENDED_OFTEN:
            raise StepFailed(
                f"{host.name}: {name} does not start",
                cause=_log(host, unit, LOG_LINES),
                remedy=f"mend what the log says, then binderbox install {host.name}",
                log=host.log.path,
            )
        if waited_s > patient(START_S):
            raise WaitTimedOut(
                f"{host.name}: {name} was not ready within {patient(START_S):.0f} s",
                cause=_log(host, unit, LOG_LINES),
                remedy=f"binderbox install {host.name}, which goes on waiting for it",
            )
        progress.waiting(f"{name} starts", f"{active} ({sub}); {_log(host, unit, 1)[-200:]}", waited_s)
        time.sleep(min(EVERY_S, FIRST_S + waited_s / 10))


def _log(host: Host, unit: str, lines: int) -> str:
    return host.run([*LOG_OF, unit, "--lines", str(lines)]).text.strip()


def _state(host: Host, unit: str) -> tuple[str, str, int, str]:
    """systemctl's lines `Name=value`; a job of 0, or none, is no job."""
    words = ["systemctl", "show", "--property", "ActiveState,SubState,NRestarts,Job", unit]
    found = dict(line.partition("=")[::2] for line in host.run(words).text.splitlines())
    job = found.get("Job", "")
    return (
        found["ActiveState"],
        found["SubState"],
        int(found.get("NRestarts", "0")),
        "" if job == "0" else job,
    )
