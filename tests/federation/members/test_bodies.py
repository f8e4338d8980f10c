"""Bodies are decoded as the redirector does it: by what it takes, ours is held to it, and so is the small one."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import httpx
import pytest

from binderbox.commands.federation.ask import observe
from binderbox.federation.redirector.config import make_config
from binderbox.federation.redirector.rules import judge_members
from tests.federation.bodies import BODIES, members
from tests.federation.looking import CHECK
from tests.federation.small_redirector import Redirector
from tests.federation.upstream import UpstreamRedirector, why_not

TAKEN = {name for name, (_, _, taken) in BODIES.items() if taken}


def test_ours_takes_what_the_redirector_takes() -> None:
    with members() as hosts:
        config = make_config({"hosts": hosts})
        seen = observe(config.hosts, 5)
        standings = judge_members(config, {name: one.seen for name, one in seen.items()})
    assert {one.name for one in standings if one.active} == TAKEN


def test_the_small_one_takes_the_same() -> None:
    with members() as hosts, Redirector({"check": CHECK, "hosts": hosts}) as redirector:
        redirector.wait_until(TAKEN, 30)


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_the_real_one_takes_the_same(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with members() as hosts, UpstreamRedirector({"check": CHECK, "hosts": hosts}, tmp_path, port) as real:
        deadline, active = time.monotonic() + 30, set[str]()
        while active != TAKEN and time.monotonic() < deadline:
            time.sleep(0.2)
            active = set(httpx.get(f"{real.url}/active_hosts", trust_env=False).json()["active_hosts"])
    assert active == TAKEN
