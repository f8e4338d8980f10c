"""Start a job: `python3 -m binderbox.parts.agent.jobs follow`, as binderbox-follow.service does, `watch`, `abuse`, `guard`,
`retention` or `disk`.

`look` prints what the follower sees and would do, as JSON, and changes nothing. `bans` puts the bans into the files that
cryptnono's release is made from, as an install needs them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict

from binderbox import layout
from binderbox.federation.following.follow import decide
from binderbox.parts.agent.jobs import abuse, detectors, disk, files, follow, guard, retention, telling, watch
from binderbox.parts.agent.jobs.config import ConfigFault, parse_config
from binderbox.parts.agent.jobs.launching import TROUBLE
from binderbox.parts.helm.release import AWAY, BETWEEN_S, TRIES

USAGE = "usage: python3 -m binderbox.parts.agent.jobs follow|look|watch|abuse|guard|retention|disk|bans"


def main() -> int:
    os.umask(0o022)  # git serves the sample as nobody; what is private says so itself
    try:
        config = parse_config(files.read(layout.AGENT_CONFIG) or "")
        (job,) = sys.argv[1:]
    except (ConfigFault, ValueError) as fault:
        print(f"{fault}; {USAGE}", file=sys.stderr)
        return 2
    if job == "look":
        seen = follow.look(config)
        record = telling.record()
        found = {
            "seen": asdict(seen),
            "decision": asdict(decide(seen, config.rules)),
            "followed": asdict(record.followed) if record.followed else None,
            "failed": [asdict(one) for one in record.failed],
            "last": json.loads(files.read(layout.FOLLOW_STATE) or "null"),
            "guard": {
                "followed": asdict(record.guard) if record.guard else None,
                "failed": [asdict(one) for one in record.guard_failed],
            },
        }
        print(json.dumps(found))
        return 0
    if job == "abuse":
        return 1 if abuse.run(config) else 0
    if job == "watch":
        watch.run(config)
        return 0
    if job == "guard":
        return 0 if guard.run(config) else 1
    if job == "retention":
        asked = files.read(layout.RETENTION_NOW)
        files.remove(layout.RETENTION_NOW)
        return 0 if retention.run(config, None if asked is None else json.loads(asked)) else 1
    if job == "disk":
        return 0 if disk.run(config) else 1
    if job == "bans":
        return _bans()
    if job != "follow":
        print(USAGE, file=sys.stderr)
        return 2
    asked = files.read(layout.FOLLOW_NOW)
    files.remove(layout.FOLLOW_NOW)
    if not config.enabled and asked is None:
        return 0
    how = {"now": asked is not None, "again": asked is not None and "again" in asked}
    decision = follow.run(config, **how)
    guarded = detectors.run(config, **how)
    return 0 if guarded and decision.verdict not in ("unmatched", "refused", "rolled-back") else 1


def _bans() -> int:
    """An install waits for it: an API server that is away for a moment ends none."""
    for again in range(TRIES):
        time.sleep(BETWEEN_S if again else 0)
        try:
            guard.in_force()
        except TROUBLE as error:
            told = str(error)
        else:
            return 0
        if not any(word in told for word in AWAY):
            break
    print(told, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
