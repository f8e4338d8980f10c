"""The spawner that JupyterHub runs, on the rig's double of KubeSpawner: whoever waits for a server that has ended is told."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import pytest

from binderbox.parts.binderhub.spawner_class import SNIPPET, spawner_class
from tests.places import ROOT

sys.path.insert(0, str(ROOT / "tests" / "rig" / "double"))

from hubdouble.values import Values

from tests.rig.test_double_hub import Cluster, pod

RUNS = {"phase": "Running", "podIP": "127.0.0.1", "containerStatuses": [{"ready": True}]}
FAILED = {
    "phase": "Failed",
    "containerStatuses": [{"state": {"terminated": {"exitCode": 127, "reason": "Error"}}}],
}
SECONDS = {"run_timeout": 20, "http_timeout": 20}
SOON_S = 5


def spawner(cluster: Cluster, **timeouts: int) -> Any:
    config = {"BinderboxSpawner": {**SECONDS, **timeouts}}
    values = Values.make({"hub": {"config": config, "extraConfig": {SNIPPET: spawner_class()}}})
    return values.spawner_class()(cluster, pod(), "/user/demo-abc/", config=values.traits)


def why(cluster: Cluster, then: dict[str, Any] | bool | None = False, **timeouts: int) -> tuple[str, float]:
    """What whoever waits is told, and after how many seconds; after one, the pod is in the state `then`."""

    async def scenario() -> str:
        starting = asyncio.ensure_future(spawner(cluster, **timeouts).start())
        await asyncio.sleep(1.5)
        if then is not False:
            cluster.show(then)  # type: ignore[arg-type]
        (told,) = await asyncio.gather(starting, return_exceptions=True)
        assert isinstance(told, Exception)
        return str(told)

    started = time.monotonic()
    return asyncio.run(scenario()), time.monotonic() - started


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        (FAILED, False, "(Error, exit code 127)"),
        (RUNS, FAILED, "(Error, exit code 127)"),
        (RUNS, {"phase": "Succeeded", "containerStatuses": [{"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]},
         "(Completed, exit code 0)"),
        (RUNS, {"phase": "Failed", "reason": "Evicted"}, "(Evicted)"),
        (RUNS, {"phase": "Failed"}, "(no reason given)"),
        (RUNS, None, "(its pod was deleted)"),
    ],
)  # fmt: skip
def test_a_server_that_has_ended_is_waited_for_no_longer(first: Any, then: Any, said: str) -> None:
    told, seconds = why(Cluster(first), then)
    assert said in told
    assert "start script" in told
    assert seconds < SOON_S


@pytest.mark.parametrize(
    ("status", "timeouts", "said"),
    [
        ({"phase": "Pending"}, {"run_timeout": 2}, "did not run within 2 seconds"),
        (RUNS, {"http_timeout": 2}, "didn't respond in 2 seconds"),
    ],
)
def test_both_waits_have_a_bound_and_a_reason(status: Any, timeouts: dict[str, int], said: str) -> None:
    told, seconds = why(Cluster(status), **timeouts)
    assert said in told
    assert seconds < 2 * SOON_S


@pytest.mark.parametrize("after_s", [0.0, 2.5])
def test_a_server_that_answers_is_ready_however_slow_it_is(
    after_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []

    async def scenario() -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            writer.close()

        free = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = free.sockets[0].getsockname()[1]
        if after_s:
            free.close()
        monkeypatch.setattr("hubdouble.kubespawner.address_of", lambda pod: f"http://127.0.0.1:{port}")
        starting = asyncio.ensure_future(spawner(Cluster(RUNS)).start())
        await asyncio.sleep(after_s)
        if after_s:
            assert not starting.done()
            await asyncio.start_server(answer, "127.0.0.1", port)
        return f"{await starting} {port}"

    url, port = asyncio.run(scenario()).split()
    assert url == f"http://127.0.0.1:{port}"
    assert asked[0].startswith(b"GET /user/demo-abc/api HTTP/1.1")


def test_whoever_stops_waiting_leaves_nothing_behind() -> None:
    """JupyterHub cancels a start that takes longer than its start_timeout, or whose user is deleted."""

    async def scenario() -> set[Any]:
        starting = asyncio.ensure_future(spawner(Cluster({"phase": "Pending"})).start())
        await asyncio.sleep(0.5)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await asyncio.sleep(0.1)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert not asyncio.run(scenario())
