"""Drain and resume on a real host, with a redirector that looks at it: nobody who is on it notices, nobody new comes."""

from __future__ import annotations

import json
import shlex
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from binderbox import layout
from binderbox.federation.redirector.timing import back_within_s, out_within_s
from binderbox.launch.kernels import evaluate
from binderbox.parts.ingress.drained import REFUSED
from tests.conftest import Installed
from tests.e2e.federated import (
    OURS,
    THEIRS,
    URL,
    browser,
    end_sessions,
    federation,
    pods,
    serve_slow_repository,
)
from tests.e2e.test_member import restarts, revisions
from tests.federation.small_redirector import Redirector
from tests.output.schemas import validate_output
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]

REASON = 'new disk, {{ "soon" }} & $(reboot)'
SLACK_S = 1.0
LONG_CELL = "import time\nfor _ in range(18): time.sleep(1)\nprint('still here')"


@pytest.fixture
def installed(installed_host: Installed) -> Iterator[Installed]:
    """The shared host; in rotation and without sessions afterwards."""
    yield installed_host
    if installed_host.host.exec(["find", layout.ETC, "-name", "drain"]):
        installed_host.client.binderbox(installed_host.host, "resume")
    end_sessions(installed_host.host)


def run(installed: Installed, command: str, *args: str, code: int = 0) -> dict[str, Any]:
    """Run a command with --json; its result, held against the command's schema."""
    done = installed.client.binderbox(installed.host, command, *args, "--json").must(code)
    return validate_output(done.stdout, command)


def drain(installed: Installed, redirector: Redirector, *args: str, code: int = 0) -> dict[str, Any]:
    return run(installed, "drain", "--federation", redirector.url, *args, code=code)


def launched(installed: Installed) -> tuple[str, str]:
    """(URL of a new session's server, its token)."""
    server, _, token = run(installed, "launch")["url"].partition("lab?token=")
    return server, token


def test_sessions_and_builds_go_on_while_the_member_leaves_empties_and_comes_back(
    installed: Installed,
) -> None:
    host = installed.host
    end_sessions(host)
    slow = serve_slow_repository(host, uuid.uuid4().hex, 8)
    with federation(host) as (redirector, _), ThreadPoolExecutor() as pool:
        config, visitor = redirector.config, browser(host)
        server, token = launched(installed)
        before = restarts(installed), revisions(installed)
        cell = pool.submit(evaluate, visitor, server, token, LONG_CELL)
        build = installed.client.start(host, "launch", slow, "--ref", "main", "--json")
        wait_until(lambda: pods(host, "binderhub-build"), 30, "a build pod")

        told = drain(installed, redirector, "--reason", REASON)
        assert (told["drained"], told["changed"], told["health"]) == (True, True, 503)
        assert (told["sessions"], told["builds"]) == (1, 1)
        assert told["ends_by"] > told["drain"]["since"]
        redirector.wait_until({THEIRS}, out_within_s(config, answer_s=0.2) + SLACK_S)
        health = visitor.request("GET", f"{URL}/health")
        assert health.json()["drained"]["reason"] == REASON
        assert health.headers["Access-Control-Allow-Origin"] == "*"

        waiting = installed.client.start(host, "drain", "--federation", redirector.url, "--wait", "--json")
        assert build.wait(120) == 0, build.communicate()
        assert cell.result(60).strip() == "still here"
        assert waiting.poll() is None
        end_sessions(host)
        stdout, stderr = waiting.communicate(timeout=60)
        assert waiting.returncode == 0, stderr
        told = validate_output(stdout, "drain")
        assert (told["sessions"], told["builds"], told["drain"]["closed"]) == (0, 0, True)
        assert '"waiting"' in stdout
        assert run(installed, "status")["drain"] == told["drain"]

        events = list(visitor.events(f"{URL}/build/gh/a/b/HEAD", silence_s=10))
        assert [one for one in events if one] == [{"phase": "failed", "message": REFUSED}]
        assert run(installed, "plan", "--exit-code")["changed"] == []
        assert run(installed, "resume")["health"] == 200
        redirector.wait_until({THEIRS, OURS}, back_within_s(config, answer_s=0.2) + SLACK_S)
        assert REFUSED not in visitor.request("GET", f"{URL}/build/closed").text
        assert (restarts(installed), revisions(installed)) == before
    audit = [json.loads(line) for line in host.exec(["tail", "-n", "8", layout.AUDIT_FILE]).splitlines()]
    ended = [one["command"].split() for one in audit if one["event"] == "end"]
    assert [words[0] for words in ended][-4:] == ["drain", "drain", "drain", "resume"]
    assert REASON in shlex.split(audit[0]["command"])
