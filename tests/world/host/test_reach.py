"""Places asked from a host, here this machine: trusted, signed by a stranger, shut, without a name."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from binderbox.parts.secrets.ca import make_ca, make_leaf
from binderbox.world.host.hosts import Host
from binderbox.world.host.reaching import reach
from tests.charts.ingresses import free_port

OURS, STRANGER = make_ca("ours"), make_ca("a box of the site")


class Quiet(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def urls(tmp_path: Path) -> Iterator[dict[str, str]]:
    servers = {}
    for name, ca in (("trusted", OURS), ("stranger", STRANGER)):
        leaf = make_leaf(ca, ["localhost"])
        both = tmp_path / f"{name}.pem"
        both.write_text(leaf.certificate_pem + leaf.key_pem)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(both)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers[name] = server
    yield {name: f"https://localhost:{server.server_address[1]}/" for name, server in servers.items()} | {
        "shut": f"https://localhost:{free_port()}/",
        "nameless": "https://nobody.invalid/",
    }
    for server in servers.values():
        server.shutdown()
        server.server_close()


def test_each_place_has_its_reason(host: Host, urls: dict[str, str]) -> None:
    before = host.round_trips
    found = {one.url: one for one in reach(host, tuple(urls.values()), (OURS.certificate_pem,))}
    assert host.round_trips - before == 1
    assert {name: found[url].code for name, url in urls.items()} == {
        "trusted": 0,
        "stranger": 60,
        "shut": 7,
        "nameless": 6,
    }
    assert "a box of the site" in found[urls["stranger"]].signed
    assert (found[urls["trusted"]].address, found[urls["trusted"]].said) == ("127.0.0.1", "")
    assert "Could not resolve" in found[urls["nameless"]].said
