"""One user's server, as KubeSpawner 7 starts it: what snippets of the hub's configuration may extend."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

from traitlets import Integer
from traitlets.config import Configurable


class KubeSpawner(Configurable):
    """+ server.base_url, namespace, pod_name, pod_reflector.pods (pods as JSON by "namespace/name", as last seen)."""

    start_timeout = Integer(60, config=True)
    http_timeout = Integer(30, config=True)

    def __init__(self, cluster: Any, pod: dict[str, Any], base_url: str, **options: Any) -> None:
        super().__init__(**options)
        self._cluster, self._pod = cluster, pod
        self.pod_reflector = cluster
        self.namespace, self.pod_name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        self.server = SimpleNamespace(base_url=base_url)

    def start(self) -> "asyncio.Future[str]":
        """Address of the pod, once it runs. One that has ended already is waited for all the same."""
        return asyncio.ensure_future(self._start())

    async def _start(self) -> str:
        await self._cluster.create(self._pod)
        deadline = time.monotonic() + self.start_timeout
        name = f"{self.namespace}/{self.pod_name}"
        while not is_running(found := self.pod_reflector.pods.get(name)):
            if time.monotonic() > deadline or self._cluster.stalled:
                raise TimeoutError(f"pod {name} did not start in {self.start_timeout} seconds!")
            await asyncio.sleep(0.2)
        return address_of(found)


class BinderSpawner(KubeSpawner):
    """BinderHub's chart makes it the spawner, in a snippet of its own."""


def is_running(pod: Any) -> bool:
    if pod is None or pod["status"].get("phase") != "Running" or pod["metadata"].get("deletionTimestamp"):
        return False
    states = pod["status"].get("containerStatuses") or []
    return bool(states) and all(state["ready"] for state in states)


def address_of(pod: Any) -> str:
    return f"http://{pod['status'].get('podIP')}:8888"


def is_over(pod: Any) -> bool:
    return pod is None or pod["status"].get("phase") in ("Succeeded", "Failed")
