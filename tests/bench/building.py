"""From build start to a Ready pod: the door's own buildctl command, against dockerd build, push and pull.

Both on one host, by turns, each time with content never seen before; the base image is present for both. Left out for
both is what comes before the build: the build pod, its clone, and the way of the context to the builder's host.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import count, pairwise
from pathlib import Path

from binderbox import layout
from binderbox.parts.builder import settings as builder
from binderbox.parts.builder.door import steps
from binderbox.parts.builder.door.command import build_command
from binderbox.parts.builder.door.config import DoorConfig, parse_config
from binderbox.parts.builder.door.pods import Permit
from binderbox.parts.builder.door.request import BuildRequest
from binderbox.parts.builder.door.workplace import Workplace
from tests.bench import dockerd
from tests.bench.image import fill
from tests.bench.measure import CouldNotMeasure, Measure, median, median_ratio, take_pairs
from tests.rig import images
from tests.rig.host import RigHost

GOAL = 0.5
PAIRS = 3
WORK = "/var/lib/containerd/bench-build"  # on a volume, as the door's own working directory is
STEP_TIMEOUT_S = 900
COPIED_FILES = 1500
FILES = COPIED_FILES + 2 * 4000  # those of the Dockerfile's steps
HERE = files("tests.bench")
Parts = dict[str, float]


@dataclass
class Way:
    """One way from Dockerfile to pod; `parts` has one entry per run: seconds by part, in order."""

    name: str
    host: RigHost
    script: Callable[[str], str]  # the image's name, which is also its seed, to sh text with marks
    pulls: bool
    parts: list[Parts] = field(default_factory=list)
    numbers: count[int] = field(default_factory=lambda: count(1))

    def run(self) -> float:
        """Build something new, start it, clean up after it; the seconds from the start to Ready."""
        number = next(self.numbers)
        name = f"bench-{self.name}-{secrets.token_hex(4)}-{number}"  # a builder that served before has not seen it
        self.host.exec(["sh", "-ec", _fill(f"{name}-content")], timeout_s=STEP_TIMEOUT_S)
        work = self.script(name)
        start = f"start_pod {name} {layout.REGISTRY}/{name}:1"
        shown = self._sh(f"mark start\n{work}\n{start}\nmark ready\npull_event {name}\nremove_pod {name}")
        parts, said = _read(shown)
        if self.pulls == ("already present" in said):
            raise CouldNotMeasure(f"{name}: the kubelet said: {said}")
        self.parts.append(parts)
        return sum(parts.values())

    def _sh(self, script: str) -> str:
        text = (HERE / "node.sh").read_text() + script
        return self.host.exec(
            ["bash", "-euo", "pipefail", "-s"], stdin=text.encode(), timeout_s=STEP_TIMEOUT_S
        )

    def medians(self, counted: int) -> Parts:
        """Median seconds by part of the counted runs."""
        return {part: median([run[part] for run in self.parts[-counted:]]) for part in self.parts[-1]}


def measure(host: RigHost) -> Measure:
    """On an installed host, with dockerd put beside k3s for the time of the measure."""
    door = parse_config(host.exec(["cat", builder.DOOR_CONFIG]))
    for name in ("Dockerfile", "fill.py"):
        text = (HERE / "image" / name).read_text()
        host.exec(["sh", "-ec", f"mkdir -p {WORK}/context; cat >{WORK}/context/{name}"], stdin=text.encode())
    version = dockerd.start(host, images.sample_base())
    ours = Way("door", host, lambda name: _door_script(door, name), pulls=False)
    docker = Way("docker", host, _docker_script, pulls=True)
    try:
        pairs = take_pairs(ours.run, docker.run, PAIRS)
    finally:
        dockerd.stop(host)
    return Measure(
        "build",
        "build start to pod Ready, door's buildctl / dockerd build, push and pull",
        median_ratio(pairs),
        GOAL,
        {
            "ours_s": median([pair.ours_s for pair in pairs]),
            "docker_s": median([pair.other_s for pair in pairs]),
            "ratios": [round(pair.ratio, 3) for pair in pairs],
            "ours_parts_s": ours.medians(PAIRS),
            "docker_parts_s": docker.medians(PAIRS),
            "dockerd": version,
            "files": FILES,
            "mb": FILES * fill.SIZE / 1e6,
        },
    )


def _fill(seed: str) -> str:
    """sh text: new content to copy, in files that are on disk before the clock starts."""
    content = f"{WORK}/context/content"
    return f"rm -rf {content}; python3 {WORK}/context/fill.py {seed} {content} {COPIED_FILES}; sync"


def _door_script(door: DoorConfig, name: str) -> str:
    """The very command of the door, run by root on the node as the door does."""
    permit = Permit(pod="bench", uid="bench", repository="", tag=f"{layout.REGISTRY}/{name}:1")
    request = BuildRequest("Dockerfile", (("BASE", images.SAMPLE_BASE), ("SEED", name)), ())
    places = [Path(WORK, name) for name in ("context", "home", "metadata.json")]
    command = build_command(
        door, permit, request, Workplace(*places, Path("/dev/null")), steps.mark("0" * 32)
    )
    return f"{shlex.join(command)} >{WORK}/log 2>&1 || {{ tail -20 {WORK}/log >&2; exit 1; }}\nmark built"


def _docker_script(name: str) -> str:
    return dockerd.build_script(f"{WORK}/context", images.SAMPLE_BASE, name)


def _read(shown: str) -> tuple[Parts, str]:
    """Marks to seconds between them (named after the later one), and the kubelet's word."""
    marks = [line.split() for line in shown.splitlines() if not line.startswith("Pulled:")]
    said = "\n".join(line for line in shown.splitlines() if line.startswith("Pulled:"))
    times = [(name, float(at)) for name, at in marks]
    return {name: at - before for (_, before), (name, at) in pairwise(times)}, said
