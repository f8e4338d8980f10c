"""Starts, follows and stops user pods."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from kubernetes.client.rest import ApiException
from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.log import app_log

from hubdouble.pod import PORT, make_pod
from hubdouble.values import Values

HTTP_TIMEOUT_S = 30  # JupyterHub's default


class Spawner:
    """+ api: Kubernetes' core API; every call is made in a thread."""

    def __init__(self, api: Any, values: Values, namespace: str, release: str) -> None:
        self.api, self.values, self.namespace, self.release = api, values, namespace, release
        self.start_timeout_s = values.get("singleuser.startTimeout", 300)
        self.http_timeout_s = values.trait(
            "Spawner KubeSpawner BinderSpawner", "http_timeout", HTTP_TIMEOUT_S
        )
        self.stalled = False

    def stall(self) -> None:
        """From now on no pod is seen to start, as when KubeSpawner's watch of pods stalls; told at once, not in 300 s."""
        self.stalled = True

    async def start(self, user: str, options: dict[str, Any]) -> str:
        """Address of the started server; it runs, and answers."""
        pod = make_pod(self.values, self.release, self.namespace, user, options)
        name = pod["metadata"]["name"]
        await self._call(self.api.create_namespaced_pod, self.namespace, pod)
        deadline = time.monotonic() + self.start_timeout_s
        while not is_running(found := await self.read(name)) or self.stalled:
            # one that ended already is waited for all the same, as KubeSpawner does
            if time.monotonic() > deadline or self.stalled:
                raise TimeoutError(
                    f"pod {self.namespace}/{name} did not start in {self.start_timeout_s} seconds!"
                )
            await asyncio.sleep(0.2)
        url = address_of(found)
        await self._wait_until_it_answers(f"{url}/user/{user}/api")
        return url

    async def stop(self, name: str) -> None:
        try:
            await self._call(self.api.delete_namespaced_pod, name, self.namespace, grace_period_seconds=1)
        except ApiException as error:
            if error.status != 404:
                raise
        while await self.read(name) is not None:
            await asyncio.sleep(0.3)

    async def read(self, name: str) -> Any:
        """The pod, or None."""
        try:
            return await self._call(self.api.read_namespaced_pod, name, self.namespace)
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    async def events(self, name: str) -> list[str]:
        """The pod's events so far, oldest first, as lines for the user."""
        response = await self._call(
            self.api.list_namespaced_event,
            self.namespace,
            field_selector=f"involvedObject.name={name}",
            _preload_content=False,  # the client's models are older than today's events
        )
        ordered = sorted(
            json.loads(response.data)["items"], key=lambda e: int(e["metadata"]["resourceVersion"])
        )
        return [describe(event) for event in ordered]

    async def _wait_until_it_answers(self, url: str) -> None:
        deadline = time.monotonic() + self.http_timeout_s
        while True:
            try:
                await AsyncHTTPClient().fetch(url, request_timeout=2)
                return
            except HTTPClientError as error:
                if error.code < 500:
                    return
                app_log.info("%s: %s", url, error)
            except OSError as error:
                app_log.info("%s: %s", url, error)
            if time.monotonic() > deadline:
                raise TimeoutError(f"Server at {url} didn't respond in {self.http_timeout_s} seconds")
            await asyncio.sleep(0.2)

    async def _call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return await asyncio.to_thread(function, *args, _request_timeout=(3, 30), **options)


def is_running(pod: Any) -> bool:
    if pod is None or pod.status.phase != "Running" or pod.metadata.deletion_timestamp:
        return False
    return bool(pod.status.container_statuses) and all(
        status.ready for status in pod.status.container_statuses
    )


def address_of(pod: Any) -> str:
    return f"http://{pod.status.pod_ip}:{PORT}"


def is_over(pod: Any) -> bool:
    return pod is None or pod.status.phase in ("Succeeded", "Failed")


def describe(event: dict[str, Any]) -> str:
    return f"{event.get('lastTimestamp') or event.get('eventTime')} [{event['type']}] {event['message']}"
