"""Server-sent events, as the build page's clients see them."""

import asyncio
import json
from http.client import responses
from typing import Any as Anything

from tornado.iostream import StreamClosedError
from tornado.log import app_log
from tornado.web import Finish, HTTPError

from binderhub.base import BaseHandler

KEEPALIVE_S = 25


def format_event(event: dict[str, Anything] | str) -> str:
    """A log line is passed on as it is: its own newline becomes one more empty line of the stream."""
    return f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n"


class EventStreamHandler(BaseHandler):
    """The status is always 200; an error is an event of the phase `failed`."""

    keeping_alive = True

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")

    def prepare(self) -> None:
        # parameters after a semicolon pass, a list of types does not
        accept = {part.strip().lower() for part in self.request.headers.get("Accept", "").split(";")}
        if "text/event-stream" not in accept:
            raise HTTPError(400, "Missing Accept header: text/event-stream")

    async def emit(self, event: dict[str, Anything] | str) -> None:
        try:
            self.write(format_event(event))
            await self.flush()
        except StreamClosedError:
            app_log.warning("Stream closed while handling %s", self.request.uri)
            raise Finish from None

    async def fail(self, message: str) -> None:
        await self.emit({"phase": "failed", "message": f"{message}\n"})

    def send_error(self, status_code: int = 500, **kwargs: Anything) -> None:
        error = (kwargs.get("exc_info") or (None, None))[1]
        message = getattr(error, "log_message", None) or responses.get(status_code, "Unknown HTTP Error")
        event = {"phase": "failed", "status_code": status_code, "message": f"{message}\n"}
        self.write(format_event(event))
        self.finish()

    async def keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEPALIVE_S)
            if not self.keeping_alive:
                return
            try:
                self.write(":keepalive\n\n")
                await self.flush()
            except (StreamClosedError, RuntimeError):
                return

    def on_finish(self) -> None:
        self.keeping_alive = False
