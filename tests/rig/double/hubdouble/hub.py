"""Users, their servers, and what becomes of both: the hub without its pages."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Any

from jupyterhub.utils import url_path_join, wait_for_http_server
from tornado.log import app_log

from hubdouble.kubespawner import address_of, is_over
from hubdouble.pod import pod_name
from hubdouble.routes import Routes
from hubdouble.spawner import Spawner
from hubdouble.store import Server, Store
from hubdouble.values import Values

POLL_S = 30  # how often the hub looks whether servers still run
SAVE_ACTIVITY_S = 60


class Hub:
    def __init__(self, values: Values, store: Store, spawner: Spawner, proxy: Routes) -> None:
        self.values, self.store, self.spawner, self.proxy = values, store, spawner, proxy
        self.spawning: dict[str, asyncio.Task[str]] = {}
        self.failed_in_a_row = 0
        self.failure_limit = values.get("hub.consecutiveFailureLimit", 5)

    async def recover(self) -> None:
        """After a restart: servers whose pods are there are taken over, also those that were being started, and hold their
        places until the culler comes; nobody who waited for them learns of it. Pods that are in no database stay, unknown.
        """
        for server in list(self.store.servers.values()):
            pod = await self.spawner.read(server.pod)
            if server.state == "stopping" or is_over(pod):
                await self.spawner.stop(server.pod)
                self.store.drop_server(server.user)
                continue
            server.state, server.url = "ready", server.url or address_of(pod)
            self.store.save(server)
            self.proxy.wanted[server.user] = server.url
        await self.proxy.check()

    def spawn(self, user: str, options: dict[str, Any]) -> None:
        now = time.time()
        server = Server(user, pod_name(user), options, "pending", "", now, now)
        self.store.save(server)
        self.spawning[user] = asyncio.create_task(self._spawn(server))

    async def _spawn(self, server: Server) -> str:
        """Address in the hub of the started server."""
        try:
            started = await self.spawner.start(server.user, server.options)
            server.url = started.url
            # without a look at the pod, which may have ended meanwhile
            await wait_for_http_server(
                url_path_join(server.url, started.server.base_url, "api"), timeout=started.http_timeout
            )
        except Exception as error:
            app_log.error("Spawn of %s failed: %r", server.user, error)
            self._count_failure()
            await self.spawner.stop(server.pod)
            self.store.drop_server(server.user)
            raise
        self.failed_in_a_row = 0
        server.state = "ready"
        self.store.save(server)
        await self.proxy.add(server.user, server.url)
        self.proxy.active[server.user] = time.time()
        return f"/user/{server.user}/"

    def _count_failure(self) -> None:
        """JupyterHub 5.3.0 handlers/base.py: so many failures in a row, whoever's, end the hub two seconds later."""
        self.failed_in_a_row += 1
        if self.failure_limit and self.failed_in_a_row >= self.failure_limit:
            app_log.critical("Aborting due to %i consecutive spawn failures", self.failed_in_a_row)
            asyncio.get_running_loop().call_later(2, os._exit, 1)

    async def progress(self, user: str) -> AsyncIterator[dict[str, Any]]:
        """What BinderHub shows while a server starts; the last event says ready or failed."""
        yield {"progress": 0, "message": "Server requested"}
        task, told = self.spawning.get(user), 0
        while task:
            ended = task.done()
            if self.values.get("singleuser.events", True):
                for line in (await self.spawner.events(pod_name(user)))[told:]:
                    told += 1
                    yield {"progress": min(90, 10 * told), "message": line}
            if ended:
                break
            await asyncio.sleep(1)
        if task and (task.cancelled() or task.exception()):
            reason = "stopped" if task.cancelled() else task.exception()
            yield {"progress": 100, "failed": True, "message": f"Spawn failed: {reason}"}
        else:
            url = f"/user/{user}/"
            yield {"progress": 100, "ready": True, "message": f"Server ready at {url}", "url": url}

    async def stop(self, user: str) -> None:
        server = self.store.servers.get(user)
        if server is None or server.state == "stopping":
            return
        server.state = "stopping"
        if (task := self.spawning.pop(user, None)) and not task.done():
            task.cancel()
        await self.proxy.drop(user)
        await self.spawner.stop(server.pod)
        self.store.drop_server(user)

    async def poll(self) -> None:
        """Forget servers whose pod ended or was deleted, and note when the others were last used."""
        while True:
            await asyncio.sleep(POLL_S)
            for server in [s for s in self.store.servers.values() if s.state == "ready"]:
                server.last_activity = max(server.last_activity, self.proxy.active.get(server.user, 0))
                self.store.save(server)
                try:
                    if is_over(await self.spawner.read(server.pod)):
                        app_log.info("Server of %s is gone", server.user)
                        await self.stop(server.user)
                except Exception:
                    app_log.exception("Could not look after %s", server.user)

    async def cull(self) -> None:
        if not self.values.get("cull.enabled", True):
            return
        while True:
            await asyncio.sleep(self.values.get("cull.every", 600))
            for server in list(self.store.servers.values()):
                server.last_activity = max(server.last_activity, self.proxy.active.get(server.user, 0))
            for user in due(
                self.store, time.time(), self.values.get("cull.timeout"), self.values.get("cull.maxAge")
            ):
                app_log.info("Culling server of %s", user)
                await self.stop(user)
            if self.values.get("cull.users"):
                for user in [u for u in self.store.users if u not in self.store.servers]:
                    self.store.drop_user(user)


def due(store: Store, now: float, timeout_s: float | None, max_age_s: float | None) -> list[str]:
    """Users whose server has been idle for too long, or is too old (0 or None: no limit)."""
    ready = [s for s in store.servers.values() if s.state == "ready"]
    idle = {s.user for s in ready if timeout_s and now - s.last_activity >= timeout_s}
    return [s.user for s in ready if s.user in idle or (max_age_s and now - s.started >= max_age_s)]
