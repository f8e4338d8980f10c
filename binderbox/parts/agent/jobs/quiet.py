"""Whether now is a good moment to replace BinderHub: no launch under way, and room to spare.

A change goes on after a bounded wait all the same: BinderHub's old pod stays until its streams have ended (values.py).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import yaml

from binderbox import layout
from binderbox.federation.following.follow import launches_under_way, too_full
from binderbox.parts.agent.jobs import releasing
from binderbox.parts.agent.jobs.running import kubectl

WAIT_S = 600
POLL_S = 5.0


def wait(tell: Callable[[str], None], wait_s: float = WAIT_S) -> None:
    """Come back when it is quiet, or after `wait_s`."""
    deadline = time.monotonic() + wait_s
    while (under_way := _under_way()) and time.monotonic() < deadline:
        tell(f"waiting for a quiet moment: {', '.join(under_way)}")
        time.sleep(POLL_S)


def places() -> tuple[list[Any], Any]:
    """The pods beside BinderHub, as the API server lists them, and its LaunchQuota.total_quota, None for none."""
    pods = json.loads(kubectl("get", "pods", "--namespace", layout.HUB_NAMESPACE, "-o", "json"))["items"]
    values = yaml.safe_load(releasing.installed().values)
    return pods, values.get("config", {}).get("LaunchQuota", {}).get("total_quota")


def _under_way() -> tuple[str, ...]:
    pods, quota = places()
    return (*launches_under_way(pods), *too_full(pods, quota))
