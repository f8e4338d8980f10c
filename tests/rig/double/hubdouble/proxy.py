"""The public proxy: user servers by their path, everything else to the hub or where the configuration says.

Requests are passed on as bytes, one per connection, so that websockets and streams need no care of their own.
"""

import asyncio
import time
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

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
    """Both ways until the server is done; a client that leaves ends it too."""
    sending = asyncio.create_task(copy(reader, up_writer, note))
    receiving = asyncio.create_task(copy(up_reader, writer, note))
    try:
        await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sending.cancel()
        receiving.cancel() if sending.done() and not receiving.done() else None
        up_writer.close()
        await asyncio.gather(sending, receiving, return_exceptions=True)


async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter, note: Noter) -> None:
    while data := await source.read(64 * 1024):
        note()
        sink.write(data)
        await sink.drain()


def error_page(status: int, reason: str) -> bytes:
    body = f"<!doctype html><title>{status}</title><p>{status} {reason}</p>"
    return (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n\r\n{body}"
    ).encode()
