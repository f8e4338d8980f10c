"""The chart index as it really is: moved to another host, its entries still naming the old one. From real servers."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import yaml

from binderbox.errors import NoAnswer
from binderbox.federation.following.follow import place_allowed
from binderbox.parts.agent.jobs import charts, web

SUM = "a" * 64
VERSION = "1.0.0-0.dev.git.3983.h383374de"
TGZ = f"binderhub-{VERSION}.tgz"


class Site:
    """A server whose paths hold a body, or an address to which they redirect."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.moved: dict[str, str] = {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                to, body = site.moved.get(self.path), site.bodies.get(self.path)
                self.send_response(301 if to else 200 if body is not None else 404)
                if to:
                    self.send_header("Location", to)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def sites() -> Iterator[tuple[Site, Site]]:
    """The old host and the new one, to which the index moved."""
    both = Site(), Site()
    yield both
    for site in both:
        site.close()


def index(url: str) -> bytes:
    entry = {"name": "binderhub", "version": VERSION, "urls": [url], "digest": SUM}
    return yaml.safe_dump({"entries": {"binderhub": [entry]}}).encode()


def moved(old: Site, new: Site, named: str) -> tuple[str, ...]:
    old.moved["/helm-chart/index.yaml"] = f"{new.url}/helm-chart/index.yaml"
    new.bodies["/helm-chart/index.yaml"] = index(named)
    return f"{old.url}/helm-chart", f"{new.url}/helm-chart"


def test_a_moved_index_whose_entries_name_the_old_host_is_followed(sites: tuple[Site, Site]) -> None:
    old, new = sites
    places = moved(old, new, f"{old.url}/helm-chart/{TGZ}")
    url, sha256 = charts.find(places[0], places, VERSION)
    assert (url, sha256) == (f"{old.url}/helm-chart/{TGZ}", SUM)
    old.moved[f"/helm-chart/{TGZ}"] = f"{new.url}/helm-chart/{TGZ}"
    new.bodies[f"/helm-chart/{TGZ}"] = b"a chart"
    assert web.fetch(url, places=places) == b"a chart"


def test_a_place_that_nobody_allowed_is_not_asked(sites: tuple[Site, Site]) -> None:
    old, new = sites
    places = moved(old, new, f"{old.url}/helm-chart/{TGZ}")
    with pytest.raises(NoAnswer, match=r"redirects to .*/helm-chart/index\.yaml, which is elsewhere"):
        charts.find(places[0], places[:1], VERSION)


@pytest.mark.parametrize(
    "path", ["/other/x.tgz", "/helm-chart/../x.tgz", "/helm-chart/%2e%2e/x.tgz", "/helm-chart-evil/x.tgz"]
)
def test_a_chart_beside_the_index_is_refused(sites: tuple[Site, Site], path: str) -> None:
    old, new = sites
    places = moved(old, new, f"{new.url}{path}")
    with pytest.raises(ValueError, match="which is elsewhere"):
        charts.find(places[0], places, VERSION)


def test_a_redirect_on_the_same_host_stays_below_the_place(sites: tuple[Site, Site]) -> None:
    old, new = sites
    places = moved(old, new, TGZ)
    new.moved[f"/helm-chart/{TGZ}"] = "/somebody-else/x.tgz"
    new.bodies["/somebody-else/x.tgz"] = b"a chart"
    with pytest.raises(NoAnswer, match="which is elsewhere"):
        web.fetch(f"{new.url}/helm-chart/{TGZ}", places=places)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://hub.jupyter.org/helm-chart/a.tgz", True),
        ("https://HUB.jupyter.org/helm-chart/a.tgz", True),
        ("http://hub.jupyter.org/helm-chart/a.tgz", False),
        ("https://hub.jupyter.org:8443/helm-chart/a.tgz", False),
        ("https://hub.jupyter.org@evil.example/helm-chart/a.tgz", False),
        ("https://hub.jupyter.org.evil.example/helm-chart/a.tgz", False),
        ("https://hub.jupyter.org/helm-chart", False),
        ("https://hub.jupyter.org/helm-chart/..%2fa.tgz", False),
        ("https://hub.jupyter.org/helm-chart/..\\a.tgz", False),
    ],
)
def test_below_a_place_or_not(url: str, allowed: bool) -> None:
    assert place_allowed(url, ("https://hub.jupyter.org/helm-chart/",)) == allowed
