"""Of JupyterHub's helpers those that wait for a server."""

import asyncio
import time
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.log import app_log


def url_path_join(*pieces: str) -> str:
    """Slashes where pieces meet are one; those of the first piece's start and the last one's end stay."""
    joined = "/".join(piece.strip("/") for piece in pieces if piece.strip("/"))
    start = "/" if pieces[0].startswith("/") else ""
    return f"{start}{joined}/" if pieces[-1].endswith("/") else f"{start}{joined}"


async def wait_for_http_server(url: str, timeout: float = 10) -> Any:
    """Any answer that is no 5xx will do; nothing else than the address is looked at."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return await AsyncHTTPClient().fetch(url, follow_redirects=False, request_timeout=2)
        except HTTPClientError as error:
            if error.code < 500:
                return error.response
            app_log.info("%s: %s", url, error)
        except OSError as error:
            app_log.info("%s: %s", url, error)
        if time.monotonic() > deadline:
            raise TimeoutError(f"Server at {url} didn't respond in {timeout} seconds")
        await asyncio.sleep(0.2)
