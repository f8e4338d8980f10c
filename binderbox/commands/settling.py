"""What a phase waits for before it is proved: a unit that was begun and may take minutes, with what it is at."""

from __future__ import annotations

import time

from binderbox import layout
from binderbox.errors import StepFailed, WaitTimedOut
from binderbox.output.progress import Progress
from binderbox.patience import patient
from binderbox.world.host.hosts import Host

START_S = 1800  # k3s's first start on 2 slow CPUs took 7 minutes
EVERY_S = 1.0
ENDED_OFTEN = 5  # starts that ended by themselves, each 5 s after the one before it
LOG_LINES = 15
LOOK = ("systemctl", "show", "--property", "ActiveState,SubState,NRestarts,Job", layout.K3S_UNIT)
LOG = ("journalctl", "--unit", layout.K3S_UNIT, "--no-pager", "--output", "cat", "--lines")


def k3s_runs(host: Host, progress: Progress) -> None:
    """Wait until k3s says that it is ready; raises StepFailed where it ends again and again, WaitTimedOut after START_S."""
    began, before = time.monotonic(), -1
    while True:
        active, sub, restarts, job = _state(host)
        before = restarts if before < 0 else before
        if active == "active" and not job:
            return
        waited_s = time.monotonic() - began
        if (active in ("failed", "inactive") and not job) or restarts - before >= ENDED_OFTEN:
            raise StepFailed(
                f"{host.name}: k3s does not start",
                cause=host.run([*LOG, str(LOG_LINES)]).text.strip(),
                remedy=f"mend what the log says, then binderbox install {host.name}",
                log=host.log.path,
            )
        if waited_s > patient(START_S):
            raise WaitTimedOut(
                f"{host.name}: k3s was not ready within {patient(START_S):.0f} s",
                cause=host.run([*LOG, str(LOG_LINES)]).text.strip(),
                remedy=f"binderbox install {host.name}, which goes on waiting for it",
            )
        progress.waiting(
            "k3s starts", f"{active} ({sub}); {host.run([*LOG, '1']).text.strip()[-200:]}", waited_s
        )
        time.sleep(EVERY_S)


def _state(host: Host) -> tuple[str, str, int, str]:
    """systemctl's lines `Name=value`; a job of 0, or none, is no job."""
    found = dict(line.partition("=")[::2] for line in host.run(LOOK).text.splitlines())
    job = found.get("Job", "")
    return (
        found["ActiveState"],
        found["SubState"],
        int(found.get("NRestarts", "0")),
        "" if job == "0" else job,
    )
