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

from ...systemd import notify
from .building import Left
from .config import ConfigFault, DoorConfig, parse_config
from .containerd import COMMAND_S, Images
from .events import say
from .growth import Growth
from .guard import EVERY_S, MB, Guard, free_at
from .listening import listen
from .pods import ApiPods
from .pusher import Budget, Pusher
from .server import Door
from .spool import Spool
from .steps import Steps, restarted
from .telling import Telling

REPIN_EVERY_S = 600  # a pin is a label on an image's record, and whoever writes the record anew drops it
STATUS_EVERY_S = 5
SWEEP_EVERY_S = 10.0  # for steps whose build has ended without them
IDLE_S = 30.0  # since the last of them ended
YOUNG_S = 10.0  # a step that has just begun is of a build that this door knows in a moment


def main() -> int:
    try:
        config = parse_config(Path(sys.argv[1]).read_text())
    except (IndexError, OSError, ConfigFault) as error:
        say("no-config", fault=str(error), usage="python3 -m binderbox.parts.builder.door CONFIG")
        return 2
    os.umask(0o077)
    state, images = Path(config.state_dir), Images(config)
    telling = Telling(state / "told.json", Path(config.audit_file))
    budget = Budget(config.pins_mb * MB, config.pins)
    pusher = Pusher(Spool(state / "spool"), images, config.push_attempts_s, budget, telling)
    steps = Steps(Path(config.tasks_dir), images.ctr, _run)
    door = Door(config, ApiPods(config), pusher, steps, alive=lambda: notify("WATCHDOG=1"))
    listener = listen(config.socket)

    def end(key: str, why: str) -> None:
        telling.tell("build-ended", why)
        door.builds.end(key, why)

    def restart(why: str) -> None:
        telling.tell("builder-restarted", why)
        _restart(config, why)

    growth = Growth(
        steps.tasks, Path(config.containerd_root), lambda: door.builds.running, lambda: _left(door, config)
    )
    guard = Guard(config, lambda: free_at(config.state_dir), growth.look, end, pusher.make_room, restart)

    def stop(number: int, frame: object) -> None:
        door.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for work in (
        *[pusher.work] * config.push_slots,
        lambda: _each(door, STATUS_EVERY_S, door.status.write),
        lambda: _each(door, REPIN_EVERY_S, pusher.repin),
        lambda: _each(door, SWEEP_EVERY_S, lambda: _sweep(door, steps, config)),
        lambda: _each(door, EVERY_S, lambda: guard.step(time.monotonic())),
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


def _sweep(door: Door, steps: Steps, config: DoorConfig) -> None:
    """End the steps that a restart of BuildKit, containerd or this door left without a build, and, when nobody builds, what
    BuildKit has of builds that have ended."""
    for step in steps.unowned(set(door.builds.running), _builder_began(config), YOUNG_S):
        say("step-ended", step=step.id, gone=steps.end(step))
    left = _left(door, config)
    if left and not door.builds.running and all(time.time() - one.ended > IDLE_S for one in left.values()):
        _restart(config, "nobody builds, and it may keep what builds that have ended had written")


def _builder_began(config: DoorConfig) -> float:
    """When BuildKit, or the containerd below it, was started last."""
    return restarted((config.buildkit_address.removeprefix("unix://"), config.containerd_socket))


def _left(door: Door, config: DoorConfig) -> dict[str, Left]:
    """Builds that ended while BuildKit was not done, of those that it may still know."""
    began = _builder_began(config)
    return {key: one for key, one in door.builds.left.items() if one.ended > began}


def _restart(config: DoorConfig, why: str) -> None:
    """Start BuildKit anew, at once: asked to stop, it waits for what it does. What is being built is built once more."""
    say("builder-restarted", why=why)
    _run(["systemctl", "kill", "--signal=KILL", "--kill-whom=main", config.buildkit_unit])


def _run(words: Sequence[str]) -> None:
    subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=COMMAND_S)


if __name__ == "__main__":
    sys.exit(main())
