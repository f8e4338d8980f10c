"""`python -m tests.bench [startup] [federation] [spread] [internet] [rate] [install] [connector] [build] [build-850] [build-8] [status] [memory]`: measure, print a line each, append to build/bench.jsonl.

Nothing is asserted: a missed goal is a line that says so. The exit code is 1 only when something could not be measured.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.measure import CouldNotMeasure, Measure, record
from tests.rig.client import Client
from tests.rig.host import RigHost

RESULTS = Path("build/bench.jsonl")
NAMES = (
    "startup",
    "federation",
    "spread",
    "internet",
    "rate",
    "install",
    "connector",
    "build",
    "build-850",
    "build-8",
    "status",
    "memory",
)
WITHOUT_HOST = {"startup", "federation", "spread"}
ON_A_MEMBER = ("connector", "build", "build-850", "build-8", "status", "memory")


def main(names: list[str]) -> int:
    """Run the named measures, or all."""
    if unknown := set(names) - set(NAMES):
        print(f"no such measure: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    wanted = names or list(NAMES)
    failed = False
    if "startup" in wanted:
        from tests.bench import startup

        failed |= not _told("startup", startup.measure)
    if "federation" in wanted:
        from tests.bench import federation

        failed |= not _told("federation", federation.measure)
    if "spread" in wanted:
        from tests.bench import spread

        failed |= not _told("spread", spread.measure)
    if set(wanted) - WITHOUT_HOST:
        with _rig() as home:
            failed |= not _on_hosts(wanted, home)
    return int(failed)


def _on_hosts(wanted: list[str], home: Path) -> bool:
    """The measures that need a host: one bare host becomes the member on which the others are made."""
    from tests.bench import building, connector, installing, internet, memory, status

    own_hosts = {"internet": internet.on_loopback, "rate": internet.held_to_a_rate}
    told = [_told(name, measure) for name, measure in own_hosts.items() if name in wanted]
    if not set(wanted) - WITHOUT_HOST - set(own_hosts):
        return all(told)
    host, client = RigHost.start("member"), Client(home)
    if "install" in wanted:
        good = _told("install", lambda: installing.measure(host, client))
    else:
        good = client.install(host).code == 0
    if not good:
        print("the host has no member on it; nothing more can be measured", file=sys.stderr)
        return False
    on_a_member = {
        "connector": lambda: connector.measure(host),
        **building.measures(host),
        "status": lambda: status.measure(host, client),
        "memory": lambda: memory.measure(host),
    }
    told += [_told(name, on_a_member[name]) for name in ON_A_MEMBER if name in wanted]
    return all(told)


def _told(name: str, measure: Callable[[], Measure]) -> bool:
    """Print and record one measure; False when there is none."""
    from binderbox.errors import BinderboxError

    print(f"measuring {name} ...", file=sys.stderr, flush=True)
    try:
        found = measure()
    except CouldNotMeasure as why:
        print(f"{name:<10} could not be measured: {why}", flush=True)
        return False
    except BinderboxError as error:
        print(f"{name:<10} could not be measured: {error}\n{error.cause}", flush=True)
        return False
    record(found, RESULTS)
    print(found.render(), flush=True)
    return True


@contextmanager
def _rig() -> Iterator[Path]:
    """A home for the client; whatever was started for the measures is gone afterwards, the engine only if it is ours."""
    from tests.rig.engine import engine_runs, ensure_engine, stop_engine
    from tests.rig.host import clean, this_run

    found_running = engine_runs()
    env = ensure_engine()
    with tempfile.TemporaryDirectory(prefix="binderbox-bench-") as home:
        os.environ["XDG_STATE_HOME"] = f"{home}/state"  # logs of connections made in this process
        try:
            yield Path(home)
        finally:
            clean(this_run(), env)
            if not found_running:
                stop_engine()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
