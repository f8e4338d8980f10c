"""How long `federation status` takes for 12 members, against the slowest of their addresses asked alone.

The members are a process of their own: in ours they would share its interpreter with what is measured. Each answers
after 20 to 500 ms, as addresses around the world do; in the second figure every other one takes connections and says
nothing, and the slowest is then the time after which the redirector, and status, give it up.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.measure import CouldNotMeasure, Measure, median, median_ratio, take_pairs
from tests.federation.looking import deploy_repository

GOAL = 2.0
MEMBERS = 12
SLOWEST_S = 0.5
DEAD_S = 60.0
PAIRS = {"all well": 7, "half dead": 3}
PROGRAM = "import sys; from binderbox.cli import main; sys.exit(main())"
ALONE = """
import sys, httpx
try:
    httpx.get(sys.argv[1], timeout=float(sys.argv[2]), trust_env=False)
except httpx.TimeoutException:
    pass
"""


def measure() -> Measure:
    """No host is needed. The ratio is the worse of the two; both are whole programs, their start included."""
    figures: dict[str, object] = {"members": MEMBERS}
    ratios = []
    for name, dead in (("all well", False), ("half dead", True)):
        with _federation(dead) as (url, slowest, timeout_s, repository):
            pairs = take_pairs(
                lambda url=url, repository=repository: _status(url, repository),  # type: ignore[misc]
                lambda slowest=slowest, timeout_s=timeout_s: _alone(slowest, timeout_s),  # type: ignore[misc]
                PAIRS[name],
            )
        ratios.append(median_ratio(pairs))
        figures[name.replace(" ", "_")] = {
            "ratio": round(ratios[-1], 3),
            "status_s": median([pair.ours_s for pair in pairs]),
            "slowest_alone_s": median([pair.other_s for pair in pairs]),
        }
    what = f"`federation status` of {MEMBERS} members / its slowest endpoint alone"
    return Measure("federation", what, max(ratios), GOAL, figures)


def _status(url: str, repository: str) -> float:
    """The whole command; it must have seen all members, or the figure is of something else."""
    sources = ["--deploy-repo", repository] if repository else []
    command = [sys.executable, "-c", PROGRAM, "federation", "status", "--federation", url, "--json", *sources]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    took = time.perf_counter() - started
    if done.returncode not in (0, 5) or len(json.loads(done.stdout).get("members", ())) != MEMBERS:
        raise CouldNotMeasure(f"federation status: exit {done.returncode}: {done.stderr.strip()[-300:]}")
    return took


def _alone(url: str, timeout_s: float) -> float:
    """A program that asks this one address with the same library, its start included as in ours."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", ALONE, url, str(timeout_s)], capture_output=True, text=True)
    took = time.perf_counter() - started
    if done.returncode:
        raise CouldNotMeasure(f"the slowest endpoint alone: {done.stderr.strip()[-300:]}")
    return took


@contextmanager
def _federation(dead: bool) -> Iterator[tuple[str, str, float, str]]:
    """(redirector's address, slowest address, its timeout, deployment repository) of members that run elsewhere."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="binderbox-bench-")))
        command = [sys.executable, "-m", "tests.bench.federation", "dead" if dead else "well"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        assert process.stdout is not None
        told = json.loads(process.stdout.readline() or "{}")
        if not told:
            raise CouldNotMeasure("the members did not start")
        yield told["url"], told["slowest"], told["timeout_s"], _repository(directory, told) if dead else ""


def _repository(directory: Path, told: dict[str, object]) -> str:
    """What `--deploy-repo` reads: dead members are not in the redirector's own list."""
    return str(deploy_repository(directory, told["hosts"], {"enabled": False}))


def serve(dead: bool) -> None:
    """Run members and a redirector until stdin ends; say where they are in one line."""
    from binderbox.federation.redirector.config import CheckTiming
    from tests.federation.prime import Prime, make_health
    from tests.federation.small_redirector import Redirector

    with ExitStack() as stack:
        members = [stack.enter_context(Prime(health=make_health(5, 100))) for _ in range(MEMBERS)]
        hosts = {f"m{n:02}": one.entry(50, prime=n == 0) for n, one in enumerate(members)}
        # the redirector's own checks are not what is measured: it looks once, at its start, and then rests
        section = {
            "check": {"period": 3600, "failed_period": 3600, "retries": 1, "timeout": 5},
            "hosts": hosts,
        }
        redirector = stack.enter_context(Redirector(section))
        time.sleep(1)
        for number, member in enumerate(members):
            member.delay_s = DEAD_S if dead and number % 2 else SLOWEST_S * (number + 1) / MEMBERS
        slowest, timeout_s = (members[-1].url, CheckTiming.timeout_s)
        told = {"url": redirector.url, "slowest": f"{slowest}/health", "timeout_s": timeout_s, "hosts": hosts}
        print(json.dumps(told), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1] == "dead")
