"""A member that tells the whole story of a launch, as BinderHub b9fad995 does: events one after another, then a server.

The server of its notebook is itself, below /user/x/; what is asked of it is in `requests`. Settings can be changed while
it runs: `client_ip` (what it takes for the visitor's address), `buffered` (all events at once, as behind a buffering
proxy), `cors`, `fails` (the message of a failed launch), `server_url`, `counts` (launches of its /metrics).
"""

from __future__ import annotations

import json
import time
from typing import Any, cast

from tests.federation.prime import Prime, _Handler

STEP_S = 0.17  # a launch of over a second: of a shorter one `federation check` says nothing


class Member(Prime):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.server.RequestHandlerClass = _Telling
        self.client_ip = "127.0.0.1"
        self.buffered = False
        self.cors: str | None = "*"
        self.fails = ""
        self.server_url = ""
        self.counts: tuple[int, int] | None = (0, 0)


class _Telling(_Handler):
    @property
    def owner(self) -> Member:
        return cast(Any, self.server).owner  # type: ignore[no-any-return]

    def answer(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/user/x/"):
            self.owner.requests.append((self.owner.seconds(), f"{self.command} {path}"))
            self.send_json(200, {})
        elif path == "/metrics" and self.owner.counts is not None:
            worked, failed = self.owner.counts
            lines = [
                f'binderhub_launch_time_seconds_count{{retries="0",status="success"}} {float(worked)}',
                f'binderhub_launch_time_seconds_count{{retries="-1",status="failure"}} {float(failed)}',
                'binderhub_launch_time_seconds_count{retries="-1",status="retry"} 7.0',
            ]
            self.send(200, "\n".join([*lines, ""]).encode(), {"Content-Type": "text/plain"})
        else:
            super().answer()

    def send_header(self, keyword: str, value: str) -> None:
        if keyword != "Access-Control-Allow-Origin":
            super().send_header(keyword, value)
        elif self.owner.cors is not None:
            super().send_header(keyword, self.owner.cors)

    def _build(self, spec: str, token: str) -> None:
        if token and not self.owner.accepts(token, spec, self._origin()):
            # BinderHub says it in an event: HTTP 200, and the status in the JSON
            self._stream([{"phase": "failed", "status_code": 403, "message": "Invalid build token\n"}])
        elif spec.endswith("no-such-branch-asked-by-binderbox"):
            self._stream([{"phase": "failed", "message": f"Could not resolve ref for {spec}.\n"}])
        elif self.owner.fails:
            self._stream(
                [
                    {"phase": "built", "imageName": "i:1", "message": "Found built image, launching...\n"},
                    {"phase": "failed", "message": self.owner.fails},
                ]
            )
        else:
            url = self.owner.server_url or f"{self.owner.url}/user/x/"
            ready = {
                "phase": "ready",
                "message": "server running\n",
                "image": "i:1",
                "token": "t",
                "url": url,
            }
            self._stream(
                [
                    {"phase": "built", "imageName": "i:1", "message": "Found built image, launching...\n"},
                    {"phase": "launching", "message": "Launching server...\n"},
                    *({"phase": "launching", "message": f"step {n}\n"} for n in range(4)),
                    {**ready, "binder_client_ip": self.owner.client_ip},
                ]
            )

    def _stream(self, events: list[dict[str, Any]]) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Connection", "close")
        self.end_headers()
        sent = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
        if self.owner.buffered:
            time.sleep(STEP_S * len(sent))
            sent = [b"".join(sent)]
        for piece in sent:
            self.wfile.write(piece)
            self.wfile.flush()
            time.sleep(STEP_S)
