"""Start the door: `python3 -m binderbox.parts.builder.door CONFIG`, as binderbox-door.service does."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from ...systemd import notify
from .config import ConfigFault, parse_config
from .containerd import Images
from .events import say
from .listening import listen
from .pods import ApiPods
from .pusher import Pusher
from .server import Door
from .spool import Spool

REPIN_EVERY_S = 600  # a pin is a label on an image's record, and whoever writes the record anew drops it


def main() -> int:
    try:
        config = parse_config(Path(sys.argv[1]).read_text())
    except (IndexError, OSError, ConfigFault) as error:
        say("no-config", fault=str(error), usage="python3 -m binderbox.parts.builder.door CONFIG")
        return 2
    os.umask(0o077)
    pusher = Pusher(Spool(Path(config.state_dir, "spool")), Images(config), config.push_attempts_s)
    door = Door(config, ApiPods(config), pusher, alive=lambda: notify("WATCHDOG=1"))
    listener = listen(config.socket)

    def stop(number: int, frame: object) -> None:
        door.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for work in (*[pusher.work] * config.push_slots, lambda: _upkeep(door, pusher)):
        threading.Thread(target=work, daemon=True).start()
    say("open", socket=config.socket, slots=config.build_slots, pushes=len(pusher.spool.all()))
    notify("READY=1")
    door.serve(listener)
    notify("STOPPING=1")
    pusher.stop()
    say("closed")
    return 0


def _upkeep(door: Door, pusher: Pusher) -> None:
    passed = 0
    while not door.stopping:
        if passed % REPIN_EVERY_S == 0:
            pusher.repin()
        door.status.write()
        time.sleep(5)
        passed += 5


if __name__ == "__main__":
    sys.exit(main())
