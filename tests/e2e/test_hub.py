"""Whatever becomes of the hub: launches that fail do not end it, and one that ends takes no launch with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from binderbox import layout
from binderbox.errors import NoAnswer
from binderbox.launch.stream import Launch
from tests.conftest import Installed
from tests.e2e.federated import authority, pods, serve_repository
from tests.e2e.visitors import Visitors, visited
from tests.rig.client import DOMAIN
from tests.rig.host import RigHost
from tests.rig.images import SAMPLE_BASE
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]
HUB = "^python3 -m hubdouble$"
SECONDS = 60  # within which somebody who waits must know; a launch of the sample takes 3 to 10


@pytest.fixture
def host(installed_host: Installed) -> Iterator[RigHost]:
    """Its watch does not look: it restarts hubs, too."""
    host = installed_host.host
    host.exec(["systemctl", "stop", "binderbox-watch.timer", "binderbox-watch.service"], timeout_s=300)
    try:
        yield host
    finally:
        host.exec(["rm", "-f", layout.WATCH_RECORD, layout.WATCH_STATE])
        host.exec(["systemctl", "start", "binderbox-watch.timer"])


def restarts(host: RigHost) -> int:
    (pod,) = pods(host, "hub")
    return int(pod["status"]["containerStatuses"][0]["restartCount"])


def ready(host: RigHost) -> bool:
    return all(pod["status"]["containerStatuses"][0]["ready"] for pod in pods(host, "hub"))


def test_failing_launches_never_end_the_hub(host: RigHost) -> None:
    """Two launches of a broken image are eight failures in a row."""
    with visited(host) as visitors, ThreadPoolExecutor(2) as people:
        before = restarts(host)
        host.exec(["pkill", "-USR1", "-f", HUB])  # from now on no server is seen to start
        try:
            for failed in [people.submit(visitors.once) for _ in range(2)]:
                with pytest.raises(NoAnswer, match="did not start"):
                    failed.result()
            time.sleep(3)  # the hub ends 2 s after the failure that is one too many
            assert restarts(host) == before
        finally:
            of = ["-n", layout.HUB_NAMESPACE, "-l", "component=hub"]
            host.exec([layout.K3S, "kubectl", "delete", "pods", *of, "--grace-period=1"], timeout_s=120)
            wait_until(lambda: ready(host), 120, "a new hub")


def test_a_server_that_ends_at_once_is_told_within_seconds_and_why(host: RigHost) -> None:
    """KubeSpawner and JupyterHub wait for it for minutes, and BinderHub makes that four times."""
    text = f'FROM {SAMPLE_BASE}\nCOPY . .\nENTRYPOINT ["sh", "-c", "exit 3"]\n'
    visitors = Visitors(
        f"https://{DOMAIN}", host.address, authority(host), serve_repository(host, "ends", text)
    )
    lines: list[str] = []
    started = time.monotonic()
    with pytest.raises(NoAnswer):
        visitors.once(lambda state: lines.extend(state.lines[-1:]))
    visitors.web.close()
    assert any("(Error, exit code 3)" in line for line in lines), lines
    assert (
        time.monotonic() - started < 2 * SECONDS
    )  # a build, and four tries with 28 s of pauses between them


def test_launches_under_way_when_the_hub_ends_go_on(host: RigHost) -> None:
    with visited(host) as visitors, ThreadPoolExecutor(3) as people:
        asked, before = threading.Event(), restarts(host)

        def seen(state: Launch) -> None:
            if any("Server requested" in line for line in state.lines):
                asked.set()

        started = time.monotonic()
        under_way = [people.submit(visitors.once, seen) for _ in range(3)]
        assert asked.wait(60)
        host.exec(["pkill", "-KILL", "-f", HUB])
        for launch in under_way:
            assert launch.result().ready
        assert time.monotonic() - started < SECONDS
        assert restarts(host) == before + 1
