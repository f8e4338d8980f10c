"""User pods in Kubernetes: made, watched and stopped."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from kubernetes.client.rest import ApiException
from tornado.log import app_log

from hubdouble.kubespawner import KubeSpawner
from hubdouble.pod import make_pod
from hubdouble.values import Values

SEEN_EVERY_S = 0.3
USER_PODS = "app=jupyterhub,component=singleuser-server"


class Spawner:
    """+ api: Kubernetes' core API; every call is made in a thread. pods: as JSON by "namespace/name", as last seen."""

    def __init__(self, api: Any, values: Values, namespace: str, release: str) -> None:
        self.api, self.values, self.namespace, self.release = api, values, namespace, release
        self.pods: dict[str, Any] = {}
        self.stalled = False
        self._starting = 0

    def stall(self) -> None:
        """From now on no pod is seen to start, as when KubeSpawner's watch of pods stalls; told at once, not in 300 s."""
        self.stalled = True

    async def start(self, user: str, options: dict[str, Any]) -> KubeSpawner:
        """A server that runs, by the class that the configuration names; its address is where `url` says."""
        pod = make_pod(self.values, self.release, self.namespace, user, options)
        spawner = self.values.spawner_class()(self, pod, f"/user/{user}/", config=self.values.traits)
        self._starting += 1
        try:
            spawner.url = await asyncio.wait_for(spawner.start(), spawner.start_timeout)
        finally:
            self._starting -= 1
        return spawner

    async def watch(self) -> None:
        """See what becomes of user pods, as long as somebody waits for one."""
        while True:
            await asyncio.sleep(SEEN_EVERY_S)
            if self._starting and not self.stalled:
                try:
                    found = await self._json(self.api.list_namespaced_pod, label_selector=USER_PODS)
                    self.pods = {f"{self.namespace}/{one['metadata']['name']}": one for one in found["items"]}
                except Exception:
                    app_log.exception("Could not see the pods")

    async def create(self, pod: dict[str, Any]) -> None:
        await self._call(self.api.create_namespaced_pod, self.namespace, pod)

    async def stop(self, name: str) -> None:
        try:
            await self._call(self.api.delete_namespaced_pod, name, self.namespace, grace_period_seconds=1)
        except ApiException as error:
            if error.status != 404:
                raise
        while await self.read(name) is not None:
            await asyncio.sleep(0.3)

    async def read(self, name: str) -> Any:
        """The pod as JSON, or None."""
        try:
            response = await self._call(
                self.api.read_namespaced_pod, name, self.namespace, _preload_content=False
            )
            return json.loads(response.data)
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    async def events(self, name: str) -> list[str]:
        """The pod's events so far, oldest first, as lines for the user."""
        found = await self._json(self.api.list_namespaced_event, field_selector=f"involvedObject.name={name}")
        ordered = sorted(found["items"], key=lambda e: int(e["metadata"]["resourceVersion"]))
        return [describe(event) for event in ordered]

    async def _json(self, function: Callable[..., Any], **options: Any) -> Any:
        # the client's models are older than today's objects
        response = await self._call(function, self.namespace, _preload_content=False, **options)
        return json.loads(response.data)

    async def _call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return await asyncio.to_thread(function, *args, _request_timeout=(3, 30), **options)


def describe(event: dict[str, Any]) -> str:
    return f"{event.get('lastTimestamp') or event.get('eventTime')} [{event['type']}] {event['message']}"
