"""The public proxy: user servers by their path, everything else to the hub or where the configuration says.

Requests are passed on as bytes, one per connection, so that websockets and streams need no care of their own. It is a
program of its own, as configurable-http-proxy is, and so outlives the hub: an answer that the hub breaks off in its
middle is never ended by it, and whoever waits for the rest waits until they give up. Its routes are in its memory; a
new one has none until the hub looks again.
"""

import asyncio
import contextlib
import hmac
import json
import os
import signal
import time
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from tornado import web

HEAD_LIMIT = 64 * 1024
HOP = {"connection", "keep-alive", "proxy-connection"}


@dataclass
class Proxy:
    """+ routes: user name to address; active: when each user's server was last spoken to, seconds since the epoch.
    + hub_prefix: the paths that belong to the hub; default: where all others go, None for a page that says 404.
    """

    hub: str
    hub_prefix: str = "/"
    default: str | None = None
    routes: dict[str, str] = field(default_factory=dict)
    active: dict[str, float] = field(default_factory=dict)

    def target(self, path: str) -> tuple[str | None, str | None]:
        """(address, user or None)"""
        parts = path.split("?", 1)[0].split("/")
        if len(parts) > 2 and parts[1] == "user" and (user := unquote(parts[2])) in self.routes:
            return self.routes[user], user
        return self.hub if path.startswith(self.hub_prefix) else self.default, None

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            peer = (writer.get_extra_info("peername") or ("",))[0]
            path = head.split(b" ", 2)[1].decode("latin-1")
            address, user = self.target(path)
            if address is None:
                writer.write(error_page(404, "Not Found"))
                return
            url = urlsplit(address)
            try:
                upstream = await asyncio.wait_for(asyncio.open_connection(url.hostname, url.port or 80), 5)
            except (OSError, TimeoutError):
                writer.write(error_page(503, "Service Unavailable"))
                return
            upstream[1].write(rewrite(head, peer))
            await splice(reader, writer, *upstream, self._noter(user))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError, OSError):
            pass
        finally:
            writer.close()

    def _noter(self, user: str | None) -> "Noter":
        return Noter(self.active, user)


@dataclass
class Noter:
    active: dict[str, float]
    user: str | None

    def __call__(self) -> None:
        if self.user is not None:
            self.active[self.user] = time.time()


def rewrite(head: bytes, peer: str) -> bytes:
    """One request per connection, except where the protocol is changed; the client's address is added."""
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers = [tuple(line.split(":", 1)) for line in lines if ":" in line]
    names = {name.lower() for name, _ in headers}
    upgrade = "upgrade" in names
    forwarded = [value.strip() for name, value in headers if name.lower() == "x-forwarded-for"]
    kept = [
        (n, v) for n, v in headers if n.lower() != "x-forwarded-for" and (upgrade or n.lower() not in HOP)
    ]
    kept.append(("X-Forwarded-For", " " + ",".join([*forwarded, peer])))
    if "x-forwarded-proto" not in names:
        kept.append(("X-Forwarded-Proto", " http"))
    if not upgrade:
        kept.append(("Connection", " close"))
    return "\r\n".join([first, *(f"{n}:{v}" for n, v in kept), "", ""]).encode("latin-1")


async def splice(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    up_reader: asyncio.StreamReader,
    up_writer: asyncio.StreamWriter,
    note: Noter,
) -> None:
    """Both ways until the server is done; a client that leaves ends it too. What was broken off is left open."""
    answer = Answer()
    sending = asyncio.create_task(copy(reader, up_writer, note))
    receiving = asyncio.create_task(copy(up_reader, writer, note, answer))
    try:
        await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
        if receiving.done() and not answer.whole and not sending.done():
            await sending  # the client's own time is what ends it
    finally:
        sending.cancel()
        receiving.cancel() if sending.done() and not receiving.done() else None
        up_writer.close()
        await asyncio.gather(sending, receiving, return_exceptions=True)


class Answer:
    """Whether an answer came whole: one in chunks ends with an empty one; of others it is not known, and they count as whole."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""

    def seen(self, data: bytes) -> None:
        if b"\r\n\r\n" not in self._head and len(self._head) < HEAD_LIMIT:
            self._head += data
        self._tail = (self._tail + data)[-5:]

    @property
    def whole(self) -> bool:
        head = self._head.partition(b"\r\n\r\n")[0].lower()
        return b"transfer-encoding: chunked" not in head or self._tail == b"0\r\n\r\n"


async def copy(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, note: Noter, answer: Answer | None = None
) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(64 * 1024):
            note()
            if answer:
                answer.seen(data)
            sink.write(data)
            await sink.drain()


def error_page(status: int, reason: str) -> bytes:
    body = f"<!doctype html><title>{status}</title><p>{status} {reason}</p>"
    return (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n\r\n{body}"
    ).encode()


class Routes(web.RequestHandler):
    """The API by which the hub tells it of user servers: GET, and POST or DELETE of one."""

    def prepare(self) -> None:
        given = self.request.headers.get("Authorization", "").removeprefix("token ")
        if not hmac.compare_digest(given, self.settings["token"]):
            raise web.HTTPError(403)

    def get(self) -> None:
        proxy = self.settings["proxy"]
        self.write(
            {
                user: {"target": url, "last_activity": proxy.active.get(user, 0)}
                for user, url in proxy.routes.items()
            }
        )

    def post(self, user: str) -> None:
        proxy, user = self.settings["proxy"], unquote(user)
        proxy.routes[user] = json.loads(self.request.body)["target"]
        proxy.active[user] = time.time()
        self.set_status(201)

    def delete(self, user: str) -> None:
        proxy, user = self.settings["proxy"], unquote(user)
        proxy.routes.pop(user, None)
        proxy.active.pop(user, None)
        self.set_status(204)


class Health(web.RequestHandler):
    def get(self) -> None:
        self.write({"status": "OK"})


async def main() -> None:
    prefix, default = os.environ["HUB_PREFIX"], os.environ.get("DEFAULT_ROUTE") or None
    proxy = Proxy(hub=os.environ["HUB_URL"], hub_prefix=prefix, default=default)
    handlers = [("/api/routes", Routes), ("/api/routes/user/([^/]+)", Routes), ("/_chp_healthz", Health)]
    web.Application(handlers, proxy=proxy, token=os.environ["CONFIGPROXY_AUTH_TOKEN"]).listen(8001)
    server = await asyncio.start_server(proxy.handle, "0.0.0.0", 8000, limit=HEAD_LIMIT)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    signal.signal(
        signal.SIGTERM, lambda *_: os._exit(0)
    )  # the first process of a container has no default for it
    asyncio.run(main())
