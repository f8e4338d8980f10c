"""Start the door: `python3 -m binderbox.parts.builder.door CONFIG`, as binderbox-door.service does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ...events import say
from ...push_lock import pushing
from ...systemd import notify
from ...telling import Telling
from .api import Api
from .config import ConfigFault, parse_config
from .containerd import COMMAND_S, Images
from .growth import Growth
from .guard import EVERY_S, MB, MEASURE_EVERY_S, Guard, free_at
from .launching import Launching
from .listening import listen
from .memory import Memory
from .mounting import of_registry
from .pods import ApiPods
from .pusher import Budget, Pusher
from .server import Door
from .spool import Spool
from .steps import Steps
from .sweeping import Sweep

REPIN_EVERY_S = 600  # a pin is a label on an image's record, and whoever writes the record anew drops it
STATUS_EVERY_S = 5
AFTER_LAUNCH_S = 6.0  # a pod of a new image is ready within two or three seconds
SWEEP_EVERY_S = 10.0  # for steps whose build has ended without them


def main() -> int:
    try:
        config = parse_config(Path(sys.argv[1]).read_text())
    except (IndexError, OSError, ConfigFault) as error:
        say("no-config", fault=str(error), usage="python3 -m binderbox.parts.builder.door CONFIG")
        return 2
    os.umask(0o077)
    state, images, api = Path(config.state_dir), Images(config), Api(config)
    telling = Telling(state / "told.json", Path(config.audit_file), "build door")
    budget = Budget(config.pins_mb * MB, config.pins)
    lock = Path(config.push_lock)
    pusher = Pusher(
        Spool(state / "spool"),
        images,
        config.push_attempts_s,
        budget,
        telling,
        lambda: pushing(lock),
        of_registry(config, api),
        AFTER_LAUNCH_S,
    )
    steps = Steps(
        Path(config.tasks_dir), map(Path, config.slice_dirs), images.ctr, _run, Path(config.freezer_dir)
    )
    launching = Launching(config, api)
    door = Door(
        config,
        ApiPods(config),
        pusher,
        steps,
        launching.make,
        alive=lambda: notify("WATCHDOG=1"),
    )
    pusher.busy = lambda: bool(door.builds.running)
    pusher.changed = door.status.write
    listener = listen(config.socket)

    def end(key: str, why: str) -> None:
        if door.builds.end(key, why):
            telling.tell("build-ended", why)

    def restart(why: str) -> None:
        telling.tell("builder-restarted", why)
        sweep.restart(why)

    sweep = Sweep(config, door.builds, steps, _run, images.steps_since)
    growth = Growth(steps.tasks, Path(config.containerd_root), lambda: door.builds.running, sweep.left)
    guard = Guard(
        config, lambda: free_at(config.containerd_root), growth.look, end, pusher.make_room, restart
    )

    memory = Memory(
        map(Path, config.memory_dirs), steps.tasks, config.build_memory_mb, config.build_slots, end
    )

    def stop(number: int, frame: object) -> None:
        door.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for work in (
        *[pusher.work] * config.push_slots,
        lambda: _each(door, STATUS_EVERY_S, door.status.write),
        lambda: _each(door, REPIN_EVERY_S, pusher.repin),
        lambda: _each(door, REPIN_EVERY_S, pusher.learn),
        lambda: _each(door, SWEEP_EVERY_S, sweep.once),
        lambda: _each(door, SWEEP_EVERY_S, launching.settle),
        lambda: _each(door, REPIN_EVERY_S, door.builds.sweep),
        lambda: _each(door, EVERY_S, lambda: guard.step(time.monotonic())),
        lambda: _each(door, EVERY_S, lambda: memory.step(time.monotonic())),
        lambda: _each(door, MEASURE_EVERY_S, lambda: guard.measure(time.monotonic)),
        lambda: _each(door, MEASURE_EVERY_S, lambda: guard.room(time.monotonic())),
    ):
        threading.Thread(target=work, daemon=True).start()
    say("open", socket=config.socket, slots=config.build_slots, pushes=len(pusher.spool.all()))
    notify("READY=1")
    door.serve(listener)
    notify("STOPPING=1")
    pusher.stop()
    say("closed")
    return 0


def _each(door: Door, seconds: float, work: Callable[[], object]) -> None:
    """Do it again and again; what goes wrong in it once must not be the end of it."""
    while not door.stopping:
        try:
            work()
        except Exception as error:
            say("bug", fault=repr(error))
        time.sleep(seconds)


def _run(words: Sequence[str]) -> bool:
    """Whether it ended well."""
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=COMMAND_S
    )
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
