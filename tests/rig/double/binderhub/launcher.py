"""Asks the hub for a temporary user and a server, and follows the start."""

import asyncio
import base64
import json
import os
import random
import string
import uuid
from collections.abc import Awaitable, Callable
from typing import Any as Anything
from urllib.parse import quote, urlparse

from tornado import web
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.log import app_log
from traitlets import Integer, Unicode
from traitlets.config import LoggingConfigurable

EventCallback = Callable[[dict[str, Anything]], Awaitable[None]]


class Launcher(LoggingConfigurable):
    """+ retries, retry_delay: tries of each request, with a delay in seconds that doubles. With the handler's own
    tries around them, a hub that is down is given up after about 140 s.
    """

    hub_api_token = Unicode()
    hub_url = Unicode()
    hub_url_local = Unicode()
    retries = Integer(4, config=True)
    retry_delay = Integer(4, config=True)
    launch_timeout = Integer(600, config=True)

    async def api_request(self, path: str, **kwargs: Anything) -> Anything:
        base = os.getenv("JUPYTERHUB_API_URL", "") or f"{self.hub_url_local}hub/api/"
        url = f"{base.rstrip('/')}/{path}"
        request = HTTPRequest(url, headers={"Authorization": f"token {self.hub_api_token}"}, **kwargs)
        delay = self.retry_delay
        for attempt in range(1, self.retries + 1):
            try:
                return await AsyncHTTPClient().fetch(request)
            except HTTPClientError as error:
                if attempt > 1 and error.code == 409:
                    return error.response
                if error.code < 500 or attempt == self.retries:
                    raise
                app_log.error("Error accessing Hub API (using %s): %s", url, error)
            except OSError as error:  # refused or unresolved: a server error to the real client
                app_log.error("Error accessing Hub API (using %s): %s", url, error)
                if attempt == self.retries:
                    raise HTTPClientError(599, str(error)) from error
            await asyncio.sleep(delay)
            delay *= 2
        return None

    async def launch(
        self,
        image: str,
        username: str,
        repo_url: str,
        extra_args: dict[str, str],
        event_callback: EventCallback,
    ) -> dict[str, str]:
        """The fields of the `ready` event."""
        user = quote(username, safe="@~")
        try:
            await self.api_request(f"users/{user}", method="POST", body=b"")
        except HTTPClientError as error:
            app_log.error("Error creating user %s: %s", username, error)
            raise web.HTTPError(500, f"Failed to create temporary user for {image}") from error
        token = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=\n")
        data = {"image": image, "repo_url": repo_url, "token": token, **extra_args}
        try:
            await self.api_request(f"users/{user}/servers/", method="POST", body=json.dumps(data).encode())
            await self._follow(user, image, event_callback)
        except HTTPClientError as error:
            app_log.error("Error starting server for user %s: %s", username, error)
            raise web.HTTPError(500, f"Failed to launch image {image}") from error
        data["url"] = f"{self.hub_url}user/{user}/"
        return data

    async def _follow(self, user: str, image: str, event_callback: EventCallback) -> None:
        """Pass the hub's progress on until it says ready or failed."""
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        rest = b""

        async def handle(event: dict[str, Anything]) -> None:
            await event_callback(event)
            if event.get("ready") and not ready.done():
                ready.set_result(None)
            elif event.get("failed") and not ready.done():
                ready.set_exception(web.HTTPError(500, event.get("message", "unknown error")))

        def on_chunk(chunk: bytes) -> None:
            nonlocal rest
            *blocks, rest = (rest + chunk).split(b"\n\n")
            for block in blocks:
                if block.startswith(b"data:"):
                    _tasks.append(asyncio.ensure_future(handle(json.loads(block[5:]))))

        _tasks: list[asyncio.Future[None]] = []
        await self.api_request(
            f"users/{user}/server/progress", streaming_callback=on_chunk, request_timeout=self.launch_timeout
        )
        try:
            await asyncio.wait_for(ready, 5)
        except TimeoutError:
            raise web.HTTPError(500, f"Image {image} for user {user} failed to launch") from None


def unique_name(repo_url: str) -> str:
    """A user's name: the repository's path, shortened, and eight random characters."""
    prefix = urlparse(repo_url).path.strip("/").replace("/", "-").lower().removesuffix(".git")
    if len(prefix) > 32:
        prefix = f"{prefix[:15]}-{prefix[-15:]}"
    return f"{prefix}-{''.join(random.choices(string.ascii_lowercase + string.digits, k=8))}"
