"""A small member for tests, fit to be the prime: /health, /versions, launch pages with a signed token, /build.

It answers as BinderHub b9fad995 does: the token is a JWT (HS256, 300 s) for `provider/spec` and the origin of the
page; a build without a token is accepted, one with a wrong token is a 403 before the stream.
What it says can be changed while it runs: `versions`, `health`, `status` (of /health), `delay_s`, `delays`
(seconds by path), `page` (raw text in the place of JSON, by path). `requests` has (seconds since the start, path) of
everything it was asked.
It has its own address, or `host` names it (`port` and `tls` as the name promises).
"""

from __future__ import annotations

import json
import re
import ssl
import time
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import jwt

from tests.federation.serving import Handler, Served

TOKEN_LIVES_S = 300  # BinderHub.build_token_expires_seconds
VERSIONS = {
    "builder_info": {"build_image": "quay.io/jupyterhub/repo2docker:2026.4.0"},
    "binderhub": "0.2.0+2227.gb9fad995",
    "builder": "quay.io/jupyterhub/repo2docker:2026.4.0",
}


def make_health(total_pods: int = 0, quota: int | None = None, **wrong: bool) -> dict[str, Any]:
    """A body of /health as BinderHub makes it; `registry=False` or `hub=False` fails that check."""
    registry, hub = wrong.get("registry", True), wrong.get("hub", True)
    pods = {"total_pods": total_pods, "build_pods": 0, "user_pods": total_pods, "quota": quota}
    return {
        "ok": registry and hub,
        "checks": [
            {"service": "Docker registry", "ok": registry},
            {"service": "JupyterHub API", "ok": hub},
            {
                "service": "Pod quota",
                **pods,
                "ok": quota is None or total_pods <= quota,
                "_ignore_failure": True,
            },
        ],
    }


class Prime(Served):
    """One member. `secret` is `BinderHub.build_token_secret` as bytes; members that share it accept its tokens."""

    def __init__(
        self,
        *,
        versions: Any = VERSIONS,
        health: Any = None,
        secret: bytes = b"0" * 32,
        host: str = "",
        bind: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.handler = _Handler
        super().__init__(bind=bind, port=port, tls=tls)
        self.versions = versions
        self.health = make_health() if health is None else health
        self.status: int | None = None  # None: 200, or 503 as `health` says
        self.secret = secret
        self.delay_s = 0.0
        self.delays: dict[str, float] = {}
        self.page: dict[str, str] = {}
        self.requests: list[tuple[float, str]] = []
        if host:
            usual = {"http": 80, "https": 443}[self.scheme]
            self.url = f"{self.scheme}://{host}" + ("" if self.port == usual else f":{self.port}")

    def __enter__(self) -> Prime:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def entry(self, weight: float = 50, *, prime: bool = True) -> dict[str, Any]:
        """Its entry in the redirector's `hosts`."""
        addresses = {"url": self.url, "health": f"{self.url}/health", "versions": f"{self.url}/versions"}
        return {"prime": prime, "weight": weight, **addresses}

    def asked(self, path: str) -> list[float]:
        """When this path was asked, in seconds since the start."""
        return [at for at, what in list(self.requests) if what == path]

    def token(self, spec: str, origin: str) -> str:
        """A build token for `provider/spec`, as the page at that origin carries it."""
        claims = {"exp": int(time.time()) + TOKEN_LIVES_S, "aud": spec, "origin": origin}
        return jwt.encode(claims, key=self.secret, algorithm="HS256")

    def accepts(self, token: str, spec: str, origin: str) -> bool:
        try:
            claims = jwt.decode(token, key=self.secret, audience=spec, algorithms=["HS256"])
        except jwt.PyJWTError:
            return False
        return bool(claims["origin"] == origin)


class _Handler(Handler):
    @property
    def owner(self) -> Prime:
        return cast(Any, self.server).owner  # type: ignore[no-any-return]

    def answer(self) -> None:
        owner, parts = self.owner, urlsplit(self.path)
        owner.requests.append((owner.seconds(), parts.path))
        time.sleep(owner.delays.get(parts.path, owner.delay_s))
        if parts.path in owner.page:
            self.send(200, owner.page[parts.path].encode(), {"Content-Type": "text/html; charset=UTF-8"})
        elif parts.path == "/versions":
            self.send_json(200, owner.versions, {"Access-Control-Allow-Origin": "*"})
        elif parts.path == "/health":
            well = not isinstance(owner.health, dict) or owner.health.get("ok", True)
            status = owner.status or (200 if well else 503)
            self.send_json(status, owner.health, {"Access-Control-Allow-Origin": "*"})
        elif parts.path.startswith("/v2/"):
            self._launch_page(parts.path.removeprefix("/v2/"))
        elif parts.path.startswith("/build/"):
            token = parse_qs(parts.query).get("build_token", [""])[0]
            self._build(parts.path.removeprefix("/build/"), token)
        else:
            self.send(
                200, b"<!doctype html><title>Binder</title>", {"Content-Type": "text/html; charset=UTF-8"}
            )

    def _origin(self) -> str:
        """The host of the page: of Origin if there is one (the redirector's proxy sets it), else Host."""
        origin = self.headers.get("Origin")
        return self.headers.get("Host", "") if origin is None else urlsplit(origin).netloc

    def _launch_page(self, spec: str) -> None:
        config = json.dumps({"baseUrl": "/", "buildToken": self.owner.token(spec, self._origin())})
        page = f"<!doctype html><title>Binder</title><script>window.pageConfig = {config};</script>"
        self.send(200, page.encode(), {"Content-Type": "text/html; charset=UTF-8"})

    def _build(self, spec: str, token: str) -> None:
        """The shortest true story: refused, or a stream that fails because nothing here can build."""
        if token and not self.owner.accepts(token, spec, self._origin()):
            self.send(403, b"Invalid build token", {"Access-Control-Allow-Origin": "*"})
            return
        told = {"phase": "failed", "message": "This member builds nothing.\n"}
        self.send(
            200,
            f"data: {json.dumps(told)}\n\n".encode(),
            {"Content-Type": "text/event-stream", "Access-Control-Allow-Origin": "*"},
        )


def token_of(page: str) -> str:
    """The token in a launch page. Raises ValueError when there is none."""
    found = re.search(r'"buildToken": *"([^"]+)"', page)
    if found is None:
        raise ValueError("no build token in the page")
    return found[1]
