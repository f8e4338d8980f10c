"""The double's hub: user pods as KubeSpawner makes them, a proxy that passes bytes, and what survives a restart."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "double"))

from hubdouble.hub import Hub, due
from hubdouble.pod import as_bytes, make_pod, pod_name
from hubdouble.proxy import Proxy, rewrite
from hubdouble.store import Server, Store
from hubdouble.values import Values
from jupyterhub.utils import wait_for_http_server

OPTIONS = {"image": "r:5000/i-x:1", "token": "T", "repo_url": "git://h/x", "binder_client_ip": "192.0.2.7"}
SINGLEUSER = {"cmd": ["python3"], "memory": {"limit": "2G", "guarantee": "450M"}, "cpu": {"limit": 1}}


def pod(singleuser: dict | None = None, **hub) -> dict:
    values = {"singleuser": SINGLEUSER | (singleuser or {}), "hub": hub}
    return make_pod(Values.make(values), "binderhub", "ns", "demo-abc", OPTIONS)


def test_a_user_pod_has_the_labels_by_which_quotas_and_policies_find_it():
    labels = pod()["metadata"]["labels"]
    assert (labels["app"], labels["component"]) == ("jupyterhub", "singleuser-server")
    assert labels["hub.jupyter.org/username"] == "demo-abc"


def test_a_user_pod_runs_as_jovyan_with_the_launchs_token_and_origin():
    made = pod(config={"BinderSpawner": {"cors_allow_origin": "*"}})
    (notebook,) = made["spec"]["containers"]
    assert "command" not in notebook  # the image's own entry point stays
    assert notebook["args"][0] == "python3"
    assert "--ServerApp.token=T" in notebook["args"]
    assert "--ServerApp.base_url=/user/demo-abc/" in notebook["args"]
    assert "--ServerApp.allow_origin_pat=.*" in notebook["args"]
    assert notebook["securityContext"]["runAsUser"] == 1000
    assert made["spec"]["securityContext"]["fsGroup"] == 100
    assert made["spec"]["automountServiceAccountToken"] is False
    assert {"name": "BINDER_CLIENT_IP", "value": "192.0.2.7"} in notebook["env"]
    assert made["spec"]["imagePullSecrets"] == []


def test_memory_counts_in_powers_of_two():
    assert as_bytes("450M") == 450 * 2**20
    limits = pod()["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"memory": str(2 * 2**30), "cpu": "1"}


def test_pod_settings_of_traits_come_in_either_spelling():
    settings = {"restart_policy": "Never", "enableServiceLinks": False}
    spec = pod(config={"KubeSpawner": {"extra_pod_config": settings}})["spec"]
    assert spec["restartPolicy"] == "Never"
    assert spec["enableServiceLinks"] is False


def test_extra_config_of_the_hub_is_run_and_may_change_traits():
    snippet = "c.KubeSpawner.extra_pod_config.update({'restart_policy': 'Never'})"
    traits = {"KubeSpawner": {"extra_pod_config": {"enableServiceLinks": False}}}
    assert pod()["spec"]["restartPolicy"] == "OnFailure"
    spec = pod(config=traits, extraConfig={"never": snippet})["spec"]
    assert spec["restartPolicy"] == "Never"
    assert spec["enableServiceLinks"] is False


def test_a_broken_extra_config_of_the_hub_is_not_silent():
    with pytest.raises(ModuleNotFoundError):
        Values.make({"hub": {"extraConfig": {"x": "import no_such_module"}}})


def test_names_of_pods_are_valid_for_any_user():
    assert pod_name("demo-abc") == "jupyter-demo-abc"
    assert pod_name("03a4f407ea89fa4e-qmgz36vy") == "jupyter-x-03a4f407ea89fa4e-qm---4da0ccea"
    assert pod_name("A_b" * 40) != pod_name("A_b" * 41)
    assert len(pod_name("A_b" * 40)) <= 63


@pytest.mark.parametrize(
    ("db", "path"),
    [
        ({"type": "other", "url": "sqlite:////srv/hub/jupyterhub.sqlite"}, "/srv/hub/jupyterhub.sqlite"),
        ({"type": "sqlite-memory"}, ":memory:"),
        ({}, "/srv/jupyterhub/jupyterhub.sqlite"),
    ],
)
def test_the_database_is_where_the_values_say(db, path):
    assert Values({"hub": {"db": db}}).database() == path


def server(user: str, *, age_s: float = 0, idle_s: float = 0) -> Server:
    now = time.time()
    return Server(user, f"jupyter-{user}", {}, "ready", "http://10.0.0.1:8888", now - age_s, now - idle_s)


def test_a_file_remembers_servers_over_a_restart_and_memory_forgets_them(tmp_path):
    for path, remembered in ((str(tmp_path / "db"), ["a"]), (":memory:", [])):
        store = Store(path)
        store.add_user("a")
        store.save(server("a"))
        assert list(Store(path).servers) == remembered


def test_idle_and_old_servers_are_culled_and_others_are_not():
    store = Store(":memory:")
    for one in (server("idle", idle_s=700), server("old", age_s=30_000), server("busy", age_s=10)):
        store.save(one)
    assert sorted(due(store, time.time(), 600, 21_600)) == ["idle", "old"]
    assert due(store, time.time(), None, 0) == []


def test_routes_of_the_proxy():
    proxy = Proxy(hub="http://hub", hub_prefix="/hub/api/", routes={"a": "http://pod"})
    assert proxy.target("/user/a/lab?token=x") == ("http://pod", "a")
    assert proxy.target("/hub/api/health") == ("http://hub", None)
    assert proxy.target("/user/b/lab") == (None, None)
    assert Proxy(hub="http://hub").target("/user/b/lab") == ("http://hub", None)


def test_the_proxy_asks_for_one_answer_per_connection_but_leaves_upgrades_alone():
    plain = rewrite(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", "192.0.2.7").decode()
    assert plain.count("Connection:") == 1
    assert "Connection: close" in plain
    assert "X-Forwarded-For: 192.0.2.7" in plain
    upgrade = rewrite(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "x").decode()
    assert "Connection: Upgrade" in upgrade
    assert "close" not in upgrade


def test_the_proxy_passes_large_bodies_and_counts_as_activity():
    async def scenario() -> tuple[bytes, float]:
        async def echo(reader, writer):
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(size)
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
            await writer.drain()
            writer.close()

        upstream = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = upstream.sockets[0].getsockname()[1]
        proxy = Proxy(hub="http://127.0.0.1:1", routes={"a": f"http://127.0.0.1:{port}"})
        front = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*front.sockets[0].getsockname()[:2])
        body = b"x" * 3_000_000
        writer.write(b"PUT /user/a/x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        answer = await asyncio.wait_for(reader.read(), 10)
        upstream.close()
        front.close()
        return answer, proxy.active["a"]

    answer, active = asyncio.run(scenario())
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n" + b"x" * 3_000_000)
    assert time.time() - active < 10


class Pods:
    """Stands where Kubernetes does: servers that never answer, and pods by name."""

    def __init__(self, **pods: Any) -> None:
        self.pods = pods
        self.stopped: list[str] = []

    async def start(self, user: str, options: dict) -> Any:
        raise TimeoutError(f"Server of {user} didn't respond in 30 seconds")

    async def stop(self, name: str) -> None:
        self.stopped.append(name)

    async def read(self, name: str) -> Any:
        return self.pods.get(name)


class Told:
    """The proxy as the hub sees it."""

    def __init__(self) -> None:
        self.wanted: dict[str, str] = {}
        self.active: dict[str, float] = {}

    async def check(self) -> None:
        pass


@pytest.mark.parametrize(("settings", "ends"), [({}, True), ({"consecutiveFailureLimit": 0}, False)])
def test_five_launches_that_fail_in_a_row_end_the_hub_unless_it_is_told_not_to(settings, ends, monkeypatch):
    ended = []
    monkeypatch.setattr("hubdouble.hub.os._exit", ended.append)

    async def scenario() -> None:
        hub = Hub(Values.make({"hub": settings}), Store(":memory:"), Pods(), Told())
        for number in range(5):
            assert not ended
            hub.spawn(f"u{number}", OPTIONS)
            with pytest.raises(TimeoutError):
                await hub.spawning[f"u{number}"]
        await asyncio.sleep(2.2)

    asyncio.run(scenario())
    assert ended == ([1] if ends else [])


def test_a_server_that_was_being_started_is_taken_over_by_the_next_hub_and_holds_its_place():
    running = {"status": {"phase": "Running", "podIP": "10.0.0.9"}}
    store = Store(":memory:")
    store.save(replace(server("here"), state="pending", url=""))
    store.save(server("gone"))
    hub = Hub(Values.make({}), store, Pods(**{"jupyter-here": running}), Told())
    asyncio.run(hub.recover())
    assert {name: one.state for name, one in store.servers.items()} == {"here": "ready"}
    assert hub.proxy.wanted == {"here": "http://10.0.0.9:8888"}


def spawner_of(cluster: Any, values: dict) -> Any:
    made = Values.make(values)
    return made.spawner_class()(cluster, pod(), "/user/demo-abc/", config=made.traits)


def test_how_long_a_server_may_take_is_kubespawners_settings():
    for config, timeout_s in ({}, 30), ({"KubeSpawner": {"http_timeout": 120}}, 120):
        made = spawner_of(None, {"hub": {"config": config}, "singleuser": {"startTimeout": 210}})
        assert (made.http_timeout, made.start_timeout) == (timeout_s, 210)


@pytest.mark.parametrize("phase", ["Failed", "Running"])
def test_without_a_class_of_its_own_the_hub_waits_for_what_has_ended(phase):
    """KubeSpawner for a pod that has ended to run, JupyterHub for one that ended later to answer."""
    values = {"hub": {"config": {"KubeSpawner": {"http_timeout": 2}}}, "singleuser": {"startTimeout": 2}}
    ended = Cluster({"phase": phase, "podIP": "127.0.0.1", "containerStatuses": [{"ready": True}]})

    async def scenario() -> str:
        spawner, started = spawner_of(ended, values), time.monotonic()
        try:
            url = await spawner.start()
            ended.show({"phase": "Failed"})
            await wait_for_http_server(url, timeout=spawner.http_timeout)
        except TimeoutError as waited:
            assert time.monotonic() - started > 2
            return str(waited)
        return ""

    told = asyncio.run(scenario())
    assert told.endswith("in 2 seconds!" if phase == "Failed" else "didn't respond in 2 seconds")


class Cluster:
    """Where KubeSpawner sees pods; its one pod is in the state that was shown last."""

    stalled = False

    def __init__(self, status: dict) -> None:
        self.later, self.pods = status, {}

    async def create(self, made: dict) -> None:
        self.name = f"ns/{made['metadata']['name']}"
        self.show(self.later)

    def show(self, status: dict | None) -> None:
        self.pods = {self.name: {"metadata": {}, "status": status}} if status else {}


@pytest.mark.parametrize("whole", [True, False])
def test_an_answer_that_the_hub_breaks_off_is_never_ended_by_the_proxy(whole):
    """As configurable-http-proxy does it: whoever follows a launch through it then waits for as long as they like."""

    async def scenario() -> bytes | None:
        async def hub(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            writer.write(b"0\r\n\r\n" if whole else b"")
            await writer.drain()
            writer.close()

        upstream = await asyncio.start_server(hub, "127.0.0.1", 0)
        proxy = Proxy(hub=f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}")
        front = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*front.sockets[0].getsockname()[:2])
        writer.write(b"GET /hub/api/users/a/server/progress HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await reader.readuntil(b"hello\r\n")).startswith(b"HTTP/1.1 200")
        try:
            rest = await asyncio.wait_for(reader.read(), 1)
        except TimeoutError:
            rest = None
        writer.close()
        upstream.close()
        front.close()
        return rest

    assert asyncio.run(scenario()) == (b"0\r\n\r\n" if whole else None)


def test_tables_of_a_newer_hub_end_an_older_one_and_those_of_an_older_one_are_migrated_on_request(
    tmp_path, monkeypatch
):
    path = str(tmp_path / "db")
    Store(path)
    monkeypatch.setattr("hubdouble.store.SCHEMAS", ["double1", "double2"])
    with pytest.raises(SystemExit, match="Found database schema version double1 != double2"):
        Store(path)
    Store(path, upgrade=True)
    monkeypatch.setattr("hubdouble.store.SCHEMAS", ["double1"])
    with pytest.raises(SystemExit, match="Can't locate revision identified by 'double2'"):
        Store(path, upgrade=True)
