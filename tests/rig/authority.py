"""An ACME authority of the rig's own: Pebble, its DNS, and before it a proxy that says what Pebble cannot.

Pebble checks a name as Let's Encrypt does, but knows no CAA records, no limits and no bad days; the proxy answers those
in problem documents of the real authority's form (RFC 8555, and Boulder's words).
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import trustme

from tests.rig import binaries

PROBLEM = "urn:ietf:params:acme:error:"
DAY_S = 86400


@dataclass(frozen=True)
class Trouble:
    """What the proxy says in place of Pebble, to requests whose path begins so.

    `challenge` makes it the reason why a challenge failed, instead of an answer of its own.
    """

    path: str
    status: int
    type: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    challenge: bool = False

    @property
    def document(self) -> dict[str, Any]:
        return {"type": PROBLEM + self.type, "detail": self.detail, "status": self.status}


def caa(name: str) -> Trouble:
    return Trouble("/authZ/", 403, "caa", f"CAA record for {name} prevents issuance", challenge=True)


def rate_limited(until: str, after_s: int) -> Trouble:
    return Trouble(
        "/order-plz",
        429,
        "rateLimited",
        f"too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after {until}: "
        "see https://letsencrypt.org/docs/rate-limits/#new-certificates-per-exact-set-of-identifiers",
        {"Retry-After": str(after_s)},
    )


def forbidden_contact(domain: str) -> Trouble:
    detail = f'Error validating contact(s) :: contact email has forbidden domain "{domain}"'
    return Trouble("/sign-me-up", 400, "invalidContact", detail)


DOWN = Trouble(
    "/", 503, "serverInternal",
    "The service is down for maintenance or had an internal error. Check https://letsencrypt.status.io/ for more details.",
)  # fmt: skip


class Authority:
    """Made with `with`. Names lead to `names_at`, where challenges are asked for on `http_port`; it is called `name` at `address`.

    + url: of its directory, as `acme_server` has it; ca_pem: who vouches for that address
    + root_pem(): who signs the certificates; a browser that trusts it trusts them
    + orders: how many were made; trouble: what it says instead of working
    """

    def __init__(
        self,
        http_port: int,
        *,
        names_at: str = "127.0.0.1",
        life_s: int = 90 * DAY_S,
        name: str = "localhost",
        address: str = "127.0.0.1",
    ) -> None:
        self.http_port, self.names_at, self.life_s = http_port, names_at, life_s
        self.name, self.address = name, address
        self.trouble: Trouble | None = None
        self.asked: list[str] = []
        self.made: list[str] = []  # paths at which something new was made
        self._programs: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._home = tempfile.TemporaryDirectory(prefix="rig-authority-")
        home = Path(self._home.name)
        self.log = home / "pebble.log"
        ca = trustme.CA(organization_name="the rig's authority")
        self.ca_pem = ca.cert_pem.bytes().decode()
        leaf = ca.issue_cert(*dict.fromkeys((self.name, "localhost")))
        leaf.cert_chain_pems[0].write_to_path(home / "cert.pem")
        leaf.private_key_pem.write_to_path(home / "key.pem")
        (home / "ca.pem").write_text(self.ca_pem)
        dns, told, self._pebble, self._management = (_free_port() for _ in range(4))
        self._told = f"http://127.0.0.1:{told}"
        words = [
            str(binaries.challtestsrv()),
            "-dnsserver",
            f"127.0.0.1:{dns}",
            "-management",
            f"127.0.0.1:{told}",
        ]
        words += [
            "-defaultIPv4",
            self.names_at,
            "-defaultIPv6",
            "",
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
            "-doh",
            "",
        ]
        self._start(words, home / "dns.log")
        (home / "pebble.json").write_text(json.dumps({"pebble": self._config(home)}))
        words = [
            str(binaries.pebble()),
            "-config",
            str(home / "pebble.json"),
            "-dnsserver",
            f"127.0.0.1:{dns}",
        ]
        self._start(words, self.log, {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"})
        self._tls = ssl.create_default_context(cadata=self.ca_pem)
        self._wait(home)
        self._server = ThreadingHTTPServer((self.address, 0), _handler(self))
        own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own.load_cert_chain(home / "cert.pem", home / "key.pem")
        self._server.socket = own.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.port = int(self._server.server_address[1])
        self.url = f"https://{self.name}:{self.port}/dir"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        for program in self._programs:
            program.terminate()
            program.wait(10)
        self._home.cleanup()

    @property
    def orders(self) -> int:
        """Without those that were refused for a nonce that was used up, as Pebble pretends of some."""
        return self.made.count("/order-plz")

    @property
    def accounts(self) -> int:
        return self.made.count("/sign-me-up")

    def root_pem(self) -> str:
        """Of this run: Pebble makes another at each start."""
        with urllib.request.urlopen(
            f"https://localhost:{self._management}/roots/0", context=self._tls
        ) as answer:
            return str(answer.read().decode())

    def leads_to(self, name: str, address: str) -> None:
        """Let a name have another address than the rest."""
        body = json.dumps({"host": name, "addresses": [address]}).encode()
        urllib.request.urlopen(f"{self._told}/add-a", data=body).close()

    def forward(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """What Pebble answers, under the address by which the proxy was asked."""
        connection = http.client.HTTPSConnection("localhost", self._pebble, context=self._tls, timeout=30)
        kept = {
            name: value
            for name, value in headers.items()
            if name.lower() not in ("connection", "accept-encoding")
        }
        connection.request(method, path, body or None, kept)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        left_out = ("connection", "content-length", "transfer-encoding")
        return (
            answer.status,
            {name: value for name, value in answer.getheaders() if name.lower() not in left_out},
            data,
        )

    def _config(self, home: Path) -> dict[str, Any]:
        return {
            "listenAddress": f"127.0.0.1:{self._pebble}",
            "managementListenAddress": f"127.0.0.1:{self._management}",
            "certificate": str(home / "cert.pem"),
            "privateKey": str(home / "key.pem"),
            "httpPort": self.http_port,
            "tlsPort": 1,
            "profiles": {"default": {"description": "the rig's", "validityPeriod": self.life_s}},
        }

    def _start(self, words: list[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        with log.open("wb") as out:
            self._programs.append(
                subprocess.Popen(
                    words, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}
                )
            )

    def _wait(self, home: Path) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                self.root_pem()
                return
            except OSError:
                ended = [program.args for program in self._programs if program.poll() is not None]
                if ended or time.monotonic() > deadline:
                    raise RuntimeError(
                        f"Pebble did not start: {ended} {self.log.read_text()[-2000:]}"
                    ) from None
                time.sleep(0.1)


def _handler(authority: Authority) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (OSError, ssl.SSLError):
                self.close_connection = True

        def do_GET(self) -> None:
            self._answer()

        def do_HEAD(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            authority.asked.append(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            trouble = authority.trouble
            said = trouble if trouble and self.path.startswith(trouble.path) else None
            if said and not said.challenge:
                about = {"Content-Type": "application/problem+json", **said.headers}
                self._say(said.status, about, json.dumps(said.document).encode())
                return
            status, headers, data = authority.forward(self.command, self.path, dict(self.headers), body)
            if status == 201:
                authority.made.append(self.path)
            if (
                self.path == "/dir" and status == 200
            ):  # Boulder names itself, for CAA records; Pebble does not
                found = json.loads(data)
                found["meta"] = {**found.get("meta", {}), "caaIdentities": [authority.name]}
                data = json.dumps(found).encode()
            if said and status == 200:
                found = json.loads(data)
                found["status"] = "invalid"
                found["challenges"] = [
                    {**one, "status": "invalid", "error": said.document} for one in found["challenges"]
                ]
                data = json.dumps(found).encode()
            self._say(status, headers, data)

        def _say(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
