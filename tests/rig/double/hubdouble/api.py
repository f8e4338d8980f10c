"""The part of the hub's REST API that BinderHub and operators use."""

import asyncio
import hmac
import json
from typing import Any

from tornado import web
from tornado.iostream import StreamClosedError

from hubdouble import __version__
from hubdouble.hub import Hub


class Handler(web.RequestHandler):
    @property
    def hub(self) -> Hub:
        return self.settings["hub"]  # type: ignore[no-any-return]

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = (kwargs.get("exc_info") or (None, None))[1]
        message = getattr(error, "log_message", None) or self._reason
        self.finish({"status": status_code, "message": message})


class Open(Handler):
    def get(self) -> None:
        """Health says nothing but yes; the root of the API says the version."""
        if self.request.path.rstrip("/").endswith("/api"):
            self.write({"version": __version__})


class Service(Handler):
    """For those who hold the service's token."""

    def prepare(self) -> None:
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() not in ("token", "bearer") or not hmac.compare_digest(
            token, self.settings["token"]
        ):
            raise web.HTTPError(403, "Missing or invalid credentials.")

    def model(self, name: str) -> dict[str, Any]:
        server = self.hub.store.servers.get(name)
        ready = server is not None and server.state == "ready"
        servers = {}
        if server:
            pending = {"pending": "spawn", "stopping": "stop"}.get(server.state)
            servers[""] = {"name": "", "ready": ready, "pending": pending, "url": f"/user/{name}/"}
        return {
            "kind": "user",
            "name": name,
            "server": f"/user/{name}/" if ready else None,
            "servers": servers,
        }

    def known(self, name: str) -> None:
        if name not in self.hub.store.users:
            raise web.HTTPError(404)


class Users(Service):
    def get(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps([self.model(name) for name in self.hub.store.users]))


class User(Service):
    def get(self, name: str) -> None:
        self.known(name)
        self.write(self.model(name))

    def post(self, name: str) -> None:
        if name in self.hub.store.users:
            raise web.HTTPError(409, f"User {name} already exists")
        self.hub.store.add_user(name)
        self.set_status(201)
        self.write(self.model(name))

    async def delete(self, name: str) -> None:
        self.known(name)
        await self.hub.stop(name)
        self.hub.store.drop_user(name)
        self.set_status(204)


class UserServer(Service):
    def post(self, name: str) -> None:
        self.known(name)
        if name in self.hub.store.servers:
            raise web.HTTPError(400, f"{name} is already running")
        options = json.loads(self.request.body or b"{}")
        for key in ("token", "image"):
            if key not in options:
                raise web.HTTPError(400, f"{key} required")
        limit = self.hub.values.get("hub.concurrentSpawnLimit", 64)
        if limit and sum(not task.done() for task in self.hub.spawning.values()) >= limit:
            raise web.HTTPError(429, "Too many users trying to log in right now. Try again in a moment.")
        self.hub.spawn(name, options)
        self.set_status(202)

    async def delete(self, name: str) -> None:
        self.known(name)
        if name not in self.hub.store.servers:
            raise web.HTTPError(404, f"{name} has no server")
        await self.hub.stop(name)
        self.set_status(204)


class Progress(Service):
    async def get(self, name: str) -> None:
        self.known(name)
        if name not in self.hub.store.servers and name not in self.hub.spawning:
            raise web.HTTPError(400, f"{name} is not starting...")
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        try:
            async for event in self.hub.progress(name):
                self.write(f"data: {json.dumps(event)}\n\n")
                await self.flush()
        except (StreamClosedError, asyncio.CancelledError):
            return


class Elsewhere(Handler):
    """Pages. Nobody can sign in, so a user's page says no."""

    def get(self) -> None:
        if not self.request.path.startswith("/hub/"):
            self.redirect(f"/hub{self.request.uri}")
        else:
            self.set_status(403 if self.request.path.startswith("/hub/user/") else 404)


def handlers() -> list[Any]:
    user = "/hub/api/users/([^/]+)"
    return [
        ("/hub/(?:api/)?health/?", Open),
        ("/hub/api/?", Open),
        ("/hub/api/users", Users),
        (user, User),
        (f"{user}/server", UserServer),
        (f"{user}/servers/", UserServer),
        (f"{user}/server/progress", Progress),
        (f"{user}/servers//progress", Progress),
        (".*", Elsewhere),
    ]
