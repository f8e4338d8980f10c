"""What the API server says of pods. Standard library only: it travels with the keeper."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import urllib.request
from collections.abc import Iterator
from typing import Any

WATCH_S = 60  # then the list is read again


class Api:
    """The list and the watch of all pods, with the token of a service account that can read pods only."""

    def __init__(self, server: str, secret_file: str) -> None:
        self._url = f"{server}/api/v1/pods"
        self._secret_file = secret_file

    def _open(self, query: str, timeout_s: float) -> http.client.HTTPResponse:
        with open(self._secret_file, encoding="utf-8") as secret:
            data = json.load(secret)["data"]
        token, authority = (base64.b64decode(data[key]).decode() for key in ("token", "ca.crt"))
        request = urllib.request.Request(self._url + query, headers={"Authorization": f"Bearer {token}"})
        context = ssl.create_default_context(cadata=authority)
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=timeout_s, context=context)
        return answer

    def list(self) -> tuple[list[dict[str, Any]], str]:
        with self._open("", 30) as answer:
            found = json.load(answer)
        return found["items"] or [], found["metadata"]["resourceVersion"]

    def watch(self, version: str) -> Iterator[dict[str, Any]]:
        with self._open(
            f"?watch=1&resourceVersion={version}&timeoutSeconds={WATCH_S}", WATCH_S + 15
        ) as answer:
            for line in answer:
                yield json.loads(line)
