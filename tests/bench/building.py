"""From build start to a Ready pod: the door's own way, against dockerd build, push and pull.

Both on one host, by turns, each time with content never seen before; the base image is present for both. Left out for
both is what comes before the build: the build pod, its clone, and the way of the context to the builder's host.
"""

from __future__ import annotations

import os
import secrets
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import count, pairwise
from pathlib import Path
from typing import Any

from binderbox import layout
from binderbox.parts.builder import settings as builder
from binderbox.parts.builder.door import steps
from binderbox.parts.builder.door.command import build_command
from binderbox.parts.builder.door.config import DoorConfig, parse_config
from binderbox.parts.builder.door.pods import Permit
from binderbox.parts.builder.door.request import BuildRequest
from binderbox.parts.builder.door.workplace import Workplace
from tests.bench import dockerd, pods
from tests.bench.image import fill
from tests.bench.measure import CouldNotMeasure, Measure, median, median_ratio, take_pairs
from tests.rig import images
from tests.rig.cache import cache_home
from tests.rig.host import RigHost

GOAL = 0.4
BYTES_GOAL = 0.7
PUSH_GOAL = 1.1
AT_ONCE_GOAL = 0.5
PAIRS = 5
AT_ONCE, AT_ONCE_PAIRS = 8, 3
QUIET_WITHIN_S = 300.0
BUSY = 1.0  # load above which the figures are the machine's other work
WORK = "/var/lib/containerd/bench-build"  # on a volume, as the door's own working directory is
STEP_TIMEOUT_S = 1800
PODS_UNIT = "bench-pods"
HERE = files("tests.bench")
Parts = dict[str, float]


@dataclass(frozen=True)
class Size:
    """Files of the image: those that are copied, and those that each of two steps writes."""

    copied: int
    written: int

    @property
    def files(self) -> int:
        return self.copied + 2 * self.written

    @property
    def mb(self) -> float:
        return self.files * fill.SIZE / 1e6


SMALL, LARGE = Size(1_500, 4_000), Size(6_700, 17_900)


@dataclass
class Way:
    """One way from Dockerfile to pod; `parts` has one entry per run: seconds by part, in order; `written` megabytes.

    + pushed: bytes that went to the registry / those of layers that are not its base image's
    + script: the image's name, which is also its seed, to sh text with marks
    + later: what follows the launch, and counts for what is written only
    + slots: how many builds run at once where there are more
    """

    name: str
    host: RigHost
    size: Size
    script: Callable[[str], str]
    ready: str
    later: Callable[[str], str]
    pulls: bool
    slots: int
    parts: list[Parts] = field(default_factory=list)
    written: list[float] = field(default_factory=list)
    pushed: list[float] = field(default_factory=list)
    numbers: count[int] = field(default_factory=lambda: count(1))

    def run(self) -> float:
        """Build something new, start it, clean up after it; the seconds from the start to Ready."""
        name = self._filled()
        before = _written_mb(self.host)
        shown = self._sh(
            f"{self.ready}\nmark start\n{self.script(name)}\nstart_pod {name} {layout.REGISTRY}/{name}:1\nmark ready\n"
            f"pull_event {name}\nremove_pod {name}\n{self.later(name)}"
        )
        self.written.append(_written_mb(self.host) - before)
        parts, said, pushed = _read(shown)
        self.pushed += pushed
        if self.pulls == ("already present" in said):
            raise CouldNotMeasure(f"{name}: the kubelet said: {said}")
        self.parts.append(parts)
        return sum(parts.values())

    def run_at_once(self) -> float:
        """Several that nobody has built, asked for in one moment; the seconds until the last of their pods is Ready."""
        name = self._filled()
        jobs = "\n".join(
            f"cat >{WORK}/{name}-{number}.sh <<'JOB'\n. {WORK}/node.sh\n{self.ready}\n{self.script(f'{name}-{number}')}\n"
            f"start_pod {name}-{number} {layout.REGISTRY}/{name}-{number}:1\nJOB"
            for number in range(AT_ONCE)
        )
        self.host.exec(["sh", "-c", f"cat >{WORK}/node.sh"], stdin=(HERE / "node.sh").read_bytes())
        shown = self._sh(
            f"{jobs}\nmark start\nseq 0 {AT_ONCE - 1} | xargs -P {self.slots} -I% bash -euo pipefail {WORK}/{name}-%.sh >&2\n"
            f"mark ready\nfor number in $(seq 0 {AT_ONCE - 1}); do remove_pod {name}-$number; done"
        )
        return sum(_read(shown)[0].values())

    def _filled(self) -> str:
        name = f"bench-{self.name}-{secrets.token_hex(4)}-{next(self.numbers)}"  # nobody has seen it before
        content = f"{WORK}/context/content"
        script = f"rm -rf {content}; python3 {WORK}/context/fill.py {name} {content} {self.size.copied}; sync"
        self.host.exec(["sh", "-ec", script], timeout_s=STEP_TIMEOUT_S)
        return name

    def _sh(self, script: str) -> str:
        text = (HERE / "node.sh").read_text() + script
        return self.host.exec(
            ["bash", "-euo", "pipefail", "-s"], stdin=text.encode(), timeout_s=STEP_TIMEOUT_S
        )

    def medians(self, counted: int) -> Parts:
        """Median seconds by part of the counted runs."""
        return {part: median([run[part] for run in self.parts[-counted:]]) for part in self.parts[-1]}


def measures(host: RigHost) -> dict[str, Callable[[], Measure]]:
    """By name, on an installed host; dockerd is put beside k3s for the time of each."""
    door = parse_config(host.exec(["cat", builder.DOOR_CONFIG]))
    return {
        "build": lambda: _measure(host, door, "build", SMALL),
        "build-850": lambda: _measure(host, door, "build-850", LARGE),
        "build-8": lambda: _at_once(host, door),
    }


def _measure(host: RigHost, door: DoorConfig, name: str, size: Size) -> Measure:
    ours, docker, ratio, raw = _compared(host, door, size, Way.run, PAIRS)
    written = [a / b for a, b in zip(ours.written[1:], docker.written[1:], strict=True)]
    return Measure(
        name,
        f"build start to pod Ready, {size.mb:.0f} MB, the door's way / dockerd build, push and pull",
        ratio,
        GOAL,
        {
            **raw,
            "ours_parts_s": ours.medians(PAIRS),
            "docker_parts_s": docker.medians(PAIRS),
            "written_ratio": median(written),
            "written_goal": BYTES_GOAL,
            "ours_written_mb": median(ours.written[1:]),
            "docker_written_mb": median(docker.written[1:]),
            "pushed_ratio": median(ours.pushed[1:]),
            "pushed_goal": PUSH_GOAL,
            "files": size.files,
        },
    )


def _at_once(host: RigHost, door: DoorConfig) -> Measure:
    _, _, ratio, raw = _compared(host, door, SMALL, Way.run_at_once, AT_ONCE_PAIRS)
    return Measure(
        "build-8",
        f"{AT_ONCE} builds of {SMALL.mb:.0f} MB at once until all pods are Ready, the door's way / dockerd's",
        ratio,
        AT_ONCE_GOAL,
        {**raw, "slots": door.build_slots},
    )


def _compared(
    host: RigHost, door: DoorConfig, size: Size, run: Callable[[Way], float], count: int
) -> tuple[Way, Way, float, dict[str, Any]]:
    """Both ways by turns; ours, dockerd's, the ratio of their times, and its raw figures."""
    ours, docker, version = _ways(host, door, size)
    try:
        load = _quiet()
        pairs = take_pairs(lambda: run(ours), lambda: run(docker), count)
    finally:
        dockerd.stop(host)
        host.exec(["sh", "-c", f"systemctl stop {PODS_UNIT} || true"])
    raw = {
        "ours_s": median([pair.ours_s for pair in pairs]),
        "docker_s": median([pair.other_s for pair in pairs]),
        "ratios": [round(pair.ratio, 3) for pair in pairs],
        "load_before": load,
        "dockerd": version,
    }
    return ours, docker, median_ratio(pairs), raw


def _quiet() -> float:
    """The machine's load, once that of the install before is gone; raises CouldNotMeasure where it has other work."""
    deadline = time.monotonic() + QUIET_WITHIN_S
    while (load := os.getloadavg()[0]) > BUSY and time.monotonic() < deadline:
        time.sleep(5)
    if load > BUSY:
        raise CouldNotMeasure(
            f"the machine's load is {load:.1f}, and builds are judged below {BUSY:.0f} only"
        )
    return round(load, 2)


def _ways(host: RigHost, door: DoorConfig, size: Size) -> tuple[Way, Way, str]:
    for name in ("Dockerfile", "fill.py"):
        text = (HERE / "image" / name).read_text()
        host.exec(["sh", "-ec", f"mkdir -p {WORK}/context; cat >{WORK}/context/{name}"], stdin=text.encode())
    start = (
        f"cat >{WORK}/pods.py; systemctl stop {PODS_UNIT} 2>/dev/null || true\n"
        f"systemd-run --quiet --collect --unit={PODS_UNIT} python3 -u {WORK}/pods.py\n"
        f"curl -sS --retry 20 --retry-connrefused --retry-delay 1 http://127.0.0.1:{pods.PORT}/"
    )
    host.exec(["sh", "-ec", start], stdin=(HERE / "pods.py").read_bytes())
    version = dockerd.start(host, images.sample_base())
    ours = Way(
        "door",
        host,
        size,
        lambda name: _door_script(door, size, name),
        DOORS_PYTHON,
        lambda name: f"ask push {layout.REGISTRY}/{name}:1",
        pulls=False,
        slots=door.build_slots,
    )
    docker = Way(
        "docker",
        host,
        size,
        lambda name: dockerd.build_script(f"{WORK}/context", images.SAMPLE_BASE, name, size.written),
        "",
        lambda name: "",
        pulls=True,
        slots=AT_ONCE,
    )
    return ours, docker, version


def _door_script(door: DoorConfig, size: Size, name: str) -> str:
    """The very command of the door, run by root on the node as the door does, and what it does then."""
    permit = Permit(pod="bench", uid="bench", repository="", tag=f"{layout.REGISTRY}/{name}:1")
    args = (("BASE", images.SAMPLE_BASE), ("SEED", name), ("FILES", str(size.written)))
    place = f"{WORK}/{name}"
    command = build_command(
        door,
        permit,
        BuildRequest("Dockerfile", args, ()),
        Workplace(Path(WORK, "context"), Path(WORK, "home"), Path(f"{place}.json"), Path("/dev/null")),
        steps.mark(secrets.token_hex(16)),
    )
    return (
        f"{shlex.join(command)} >{place}.log 2>&1 || {{ tail -20 {place}.log >&2; exit 1; }}\nmark built\n"
        f"ask launchable {place}.json\nmark launchable"
    )


# The door is there before a build comes to it; so is its Python here.
DOORS_PYTHON = f"""\
coproc DOOR {{ PYTHONPATH={layout.DOOR} exec python3 -B -u -c {
    shlex.quote('''
import json, sys
from pathlib import Path
from binderbox.parts.builder.door.api import Api
from binderbox.parts.builder.door.config import parse_config
from binderbox.parts.builder.door.containerd import Images
from binderbox.parts.builder.door.launching import Launching
from binderbox.parts.builder.door.mounting import of_registry
from binderbox.parts.builder.door.pusher import repository_in
config = parse_config(Path(sys.argv[1]).read_text())
images, api = Images(config), Api(config)
launching, sources = Launching(config, api), of_registry(config, api)
to_pods = Path("/sys/class/net/cni0/statistics/tx_bytes")
base = images.layers(images.digest(sys.argv[2]))
for line in sys.stdin:
    verb, _, what = line.strip().partition(" ")
    if verb == "push":
        layers, before = images.layers(images.digest(what)), int(to_pods.read_text())
        sources.before(layers)
        images.push(what)
        sources.after(repository_in(what), layers)
        print("sent", int(to_pods.read_text()) - before, sum(layers[one] for one in layers.keys() - base.keys()))
        continue
    if verb == "launchable" and (fault := launching.make(json.loads(Path(what).read_text()))):
        sys.exit(fault)
    print("done")
''')
} {builder.DOOR_CONFIG} {images.SAMPLE_BASE}; }}
ask() {{ echo "$*" >&"${{DOOR[1]}}"; read -r said <&"${{DOOR[0]}}"; case $said in done) ;; sent*) echo "$said" ;; *) false ;; esac; }}
ask ready"""


def _written_mb(host: RigHost) -> float:
    """Megabytes that the disk of the rig's hosts has been written since its machine started."""
    host.exec(["sync"], timeout_s=300)
    device = os.stat(cache_home()).st_dev
    counts = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text().split()
    return int(counts[6]) * 512 / 1e6


def _read(shown: str) -> tuple[Parts, str, list[float]]:
    """Marks to seconds between them (named after the later one), the kubelet's word, and what was pushed beside what was new."""
    lines = shown.splitlines()
    said = "\n".join(line for line in lines if line.startswith("Pulled:"))
    pushed = [line.split()[1:] for line in lines if line.startswith("sent ")]
    marks = [line.split() for line in lines if not line.startswith(("Pulled:", "sent "))]
    times = [(name, float(at)) for name, at in marks]
    parts = {name: at - before for (_, before), (name, at) in pairwise(times)}
    return parts, said, [int(moved) / int(new) for moved, new in pushed]
