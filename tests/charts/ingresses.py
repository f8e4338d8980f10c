"""A real traefik with the configuration that the ingress chart renders, in front of two servers on loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from binderbox.parts.helm.inputs import ChartInputs
from tests.charts import rendering
from tests.rig import binaries
from tests.waiting import wait_until

BINDER, HUB = "binder.example.org", "hub.binder.example.org"


class Backend(BaseHTTPRequestHandler):
    """Says who it is; an event stream says its second word only when it is told to."""

    protocol_version = "HTTP/1.1"
    go_on = threading.Event()

    def do_GET(self) -> None:
        if self.path.startswith("/build/"):
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"data: first\n\n")
            self.wfile.flush()
            self.go_on.wait(10)
            self.wfile.write(b"data: last\n\n")
            self.close_connection = True
            return
        self._say()

    def do_PUT(self) -> None:
        length = int(self.headers["Content-Length"])
        while length > 0:
            length -= len(self.rfile.read(min(length, 65536)))
        self._say()

    def _say(self) -> None:
        answer = json.dumps({"name": self.server.name, "for": self.headers["X-Forwarded-For"]}).encode()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Ingress:
    http_port: int
    https_port: int
    tls: ssl.SSLContext
    log: Path
    routes: Path

    def ask(
        self,
        method: str,
        host: str,
        path: str,
        body: bytes | None = None,
        *,
        announced: int | None = None,
        **more: str,
    ) -> http.client.HTTPResponse:
        """Ask by a public name; `announced` is the length of a body that is never sent."""
        raw = self.tls.wrap_socket(
            socket.create_connection(("127.0.0.1", self.https_port), 10), server_hostname=host
        )
        connection = http.client.HTTPConnection(host)
        connection.sock = raw
        headers = {"Host": host, "X-Forwarded-For": "203.0.113.9"}
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        if announced is not None:
            headers["Content-Length"] = str(announced)
        connection.request(method, path, body, headers)
        return connection.getresponse()


@contextlib.contextmanager
def running(
    inputs: ChartInputs,
    where: Path,
    tls: ssl.SSLContext,
    *,
    ports: Mapping[str, int] | None = None,
    kept: Path | None = None,
    env: Mapping[str, str] | None = None,
    ready: Callable[[Ingress], bool] | None = None,
) -> Iterator[Ingress]:
    """The ingress of these inputs; `where` is a new directory, `kept` has what it keeps of an authority.

    `ready` says when it is; by default once its first route answers.
    """
    rendered = rendering.objects(rendering.template(inputs, where).stdout)
    (config,) = [each["data"] for each in rendered if each["kind"] == "ConfigMap"]
    ports = ports or {name: free_port() for name in ("web", "websecure", "ping")}
    static = (
        config["traefik.yml"].replace(":8080", f":{ports['web']}").replace(":8443", f":{ports['websecure']}")
    )
    static = static.replace(":8082", f":{ports['ping']}").replace(
        "/etc/traefik/routes", str(where / "routes")
    )
    static = static.replace("/var/lib/traefik", str(kept or where))
    routes = config["routes.yml"].replace("/etc/traefik/tls", str(where))
    servers = []
    for name, service in (("binder", "binder"), ("hub", "proxy-public")):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
        server.name = name  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        routes = routes.replace(
            f"http://{service}.binderhub.svc:80", f"http://127.0.0.1:{server.server_port}"
        )
    (where / "routes").mkdir()
    (where / "routes" / "routes.yml").write_text(routes)
    (where / "traefik.yml").write_text(static)
    (pod,) = [each["spec"]["template"]["spec"] for each in rendered if each["kind"] == "Deployment"]
    (container,) = pod["containers"]
    for mount in container["volumeMounts"]:  # the plugin's files, where the pod has them
        if "plugins" in mount["mountPath"]:
            beside = where / Path(mount["mountPath"]).relative_to("/etc/traefik")
            beside.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(config[mount["subPath"]])
    assert container["workingDir"] == "/etc/traefik"
    log = where / "traefik.log"
    with log.open("w") as out:
        command = [str(binaries.traefik()), f"--configFile={where / 'traefik.yml'}"]
        process = subprocess.Popen(
            command, cwd=where, stdout=out, stderr=subprocess.STDOUT, env={"PATH": "/nowhere", **(env or {})}
        )
    there = Ingress(ports["web"], ports["websecure"], tls, log, where / "routes")

    def routed() -> bool:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError, http.client.HTTPException):
            return (ready or _answers)(there)
        return False

    try:
        wait_until(routed, 20, "the ingress has read its routes")
        wait_until(lambda: ping(ports["ping"]) == 200, 10, "the ingress answers the kubelet's probe")
        yield there
    finally:
        process.terminate()
        process.wait(15)
        for server in servers:
            server.shutdown()


def _answers(ingress: Ingress) -> bool:
    return ingress.ask("GET", BINDER, "/").status == 200


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def ping(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/ping")
    return connection.getresponse().status
