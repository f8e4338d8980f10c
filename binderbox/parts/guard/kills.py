"""What cryptnono's detectors say: whether they are attached, and whom they killed. Pure, standard library only.

Their forms are those of its execwhacker.py and flowkiller.py (a JSON object a line, by structlog), and of monero.py,
which is bpftrace's text. They have a terminal, so lines end in CR LF.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from binderbox.parts.guard.bans import CANARY, CANARY_ADDRESS

# Container to what its log says once its probes are in the kernel.
ATTACHED = {
    "execwhacker": "Watching for processes we don't like...",
    "flowkiller": "Watching for processes we don't like...",
    "monero": "Attach",  # bpftrace: "Attaching 1 probe...", "Attached 1 probe" from 0.24 on
}
# How flowkiller and execwhacker find the container of a process: `containerd-<id>.scope` ends the line of its cgroup.
STEP = re.compile(r"/binderbox-builds\.slice/(?P<scope>[^/]+\.scope)$")
POD, NAMESPACE = "io.kubernetes.pod.name", "io.kubernetes.pod.namespace"
MONERO = re.compile(r"\[(?P<at>[^\]]+)\] killed pid:(?P<pid>\d+) fpcr:\d+ cmd:(?P<command>.*)")
LONGEST = 200


@dataclass(frozen=True)
class Kill:
    """One process that a detector ended: by which, why, and whose it was.

    `pod` is "namespace/name", `step` the scope of a build's step; where both are empty it was the host's own, except that
    monero's detector never says whose a process was.
    """

    detector: str
    at: str
    pid: int
    why: str
    command: str
    pod: str = ""
    step: str = ""

    @property
    def of_the_host(self) -> bool:
        return self.detector != "monero" and not self.pod and not self.step

    @property
    def by_canary(self) -> bool:
        """Whether it was ours, started to be killed."""
        return CANARY in self.command or CANARY_ADDRESS in self.why


def read(detector: str, lines: Iterable[str]) -> Iterator[Kill]:
    """The kills in a detector's log, in order; lines of another form say nothing."""
    steps: dict[int, str] = {}
    for line in lines:
        if detector == "monero":
            if found := MONERO.match(line):
                why, command = "floating point as RandomX has it", found["command"].strip()[:LONGEST]
                yield Kill(detector, found["at"], int(found["pid"]), why, command)
            continue
        if not (said := _object(line)):
            continue
        pid = said.get("pid")
        if said.get("action") == "container-lookup-failed" and (
            step := STEP.search(str(said.get("cgroupline", "")))
        ):
            # flowkiller's line has no pid; the kill of that process is the next line
            steps[pid if isinstance(pid, int) else 0] = step["scope"]
        elif said.get("action") == "killed" and isinstance(pid, int):
            yield _kill(detector, said, pid, steps.pop(pid, "") or steps.pop(0, ""))


def _kill(detector: str, said: Mapping[str, Any], pid: int, step: str) -> Kill:
    container = said.get("container") if isinstance(said.get("container"), dict) else said
    labels = container.get("labels") if isinstance(container, dict) else None
    pod = f"{labels.get(NAMESPACE, '')}/{labels[POD]}" if isinstance(labels, dict) and labels.get(POD) else ""
    command = said.get("cmdline", "")
    command = " ".join(map(str, command)) if isinstance(command, list) else str(command)
    # the lists are not for everybody to read
    why = "a banned word" if "matched" in said else _addresses(said)
    return Kill(detector, str(said.get("timestamp", "")), pid, why[:LONGEST], command[:LONGEST], pod, step)


def _addresses(said: Mapping[str, Any]) -> str:
    if "banned-ip" in said:
        return f"banned address {said['banned-ip']}"
    asked = said.get("addresses")
    asked = list(asked) if isinstance(asked, dict) else []
    return f"{len(asked)} addresses within a minute, {', '.join(asked[:3])} among them"


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
