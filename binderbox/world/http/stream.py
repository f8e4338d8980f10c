"""A member reached by a Way, as `launch.visitor` wants it: answers that go on as events, and the status of others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import httpx_sse

from binderbox.errors import NoAnswer
from binderbox.output.printable import printable
from binderbox.world.http.endpoints import PUBLIC, Way


class EventStream:
    """One answer under way; header names in lower case."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        ours = response.extensions["network_stream"].get_extra_info("client_addr")
        self.own_ip = str((ours or ("",))[0])

    def events(self) -> Iterator[Any]:
        """Each event's data, parsed; raises NoAnswer when the stream breaks or an event is no JSON."""
        try:
            for sent in httpx_sse.EventSource(self._response).iter_sse():
                yield json.loads(sent.data)
        except (httpx.HTTPError, httpx_sse.SSEError, OSError, ValueError) as error:
            raise NoAnswer(_why(error)) from error


class Streams:
    """Fulfils `launch.visitor.Door`: names are reached by `way`."""

    def __init__(self, way: Way = PUBLIC) -> None:
        self._way = way

    @contextmanager
    def stream(
        self, url: str, headers: Mapping[str, str], *, silence_s: float, connect_s: float
    ) -> Iterator[EventStream]:
        there, own, extensions = self._way.to(url)
        timeout = httpx.Timeout(silence_s, connect=connect_s)
        with httpx.Client(verify=self._way.context(), trust_env=False, timeout=timeout) as client:
            request = client.build_request("GET", there, headers={**own, **headers}, extensions=extensions)
            try:
                response = client.send(request, stream=True)
            except (httpx.HTTPError, OSError) as error:
                raise NoAnswer(_why(error)) from error
            try:
                yield EventStream(response)
            finally:
                response.close()

    def status(self, method: str, url: str, *, timeout_s: float) -> int:
        there, headers, extensions = self._way.to(url)
        try:
            with (
                httpx.Client(verify=self._way.context(), trust_env=False, timeout=timeout_s) as client,
                client.stream(method, there, headers=headers, extensions=extensions) as response,
            ):
                return response.status_code
        except (httpx.HTTPError, OSError) as error:
            raise NoAnswer(_why(error)) from error


def _why(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return printable(str(error) or type(error).__name__)
