"""The hub's side of the proxy: routes that shall be there, told when they change and looked after once a minute."""

import asyncio
import json
from typing import Any
from urllib.parse import quote

from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.log import app_log

CHECK_S = 60  # JupyterHub's last_activity_interval, at which a proxy that lost its routes gets them again


class Routes:
    """+ wanted: user name to address of the server; active: when it was last spoken to, seconds since the epoch."""

    def __init__(self, api_url: str, token: str) -> None:
        self.api_url, self.token = api_url, token
        self.wanted: dict[str, str] = {}
        self.active: dict[str, float] = {}

    async def add(self, user: str, target: str) -> None:
        self.wanted[user] = target
        await self._ask("POST", f"/user/{quote(user, safe='')}", json.dumps({"target": target}))

    async def drop(self, user: str) -> None:
        self.wanted.pop(user, None)
        self.active.pop(user, None)
        await self._ask("DELETE", f"/user/{quote(user, safe='')}")

    async def check(self) -> None:
        """Give the proxy what it lacks, take what it should not have, and learn who was spoken to."""
        found = await self._ask("GET", "")
        if found is None:
            return
        for user, route in found.items():
            self.active[user] = route["last_activity"]
            if user not in self.wanted:
                await self.drop(user)
        for user, target in list(self.wanted.items()):
            if found.get(user, {}).get("target") != target:
                await self.add(user, target)

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_S)
            await self.check()

    async def _ask(self, method: str, path: str, body: str | None = None) -> Any:
        """The answer, or None: a proxy that is away is told again at the next look."""
        headers = {"Authorization": f"token {self.token}"}
        try:
            answer = await AsyncHTTPClient().fetch(
                f"{self.api_url}/api/routes{path}",
                method=method,
                headers=headers,
                body=body,
                request_timeout=10,
            )
        except (HTTPClientError, OSError) as error:
            app_log.warning("The proxy was not told: %s %s: %s", method, path, error)
            return None
        return json.loads(answer.body) if answer.body else {}
