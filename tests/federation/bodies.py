"""One server with many members, each of which says that it is well in another encoding of a body."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

WELL = json.dumps(
    {"ok": True, "checks": [{"service": "Docker registry", "ok": True, "note": "gr\u00fcn"}]},
    ensure_ascii=False,
)
VERSIONS = b'{"binderhub": "1"}'


def raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(content) + packer.flush()


# name: (body of /health, Content-Encoding, whether the redirector takes it), as mybinder.org-deploy 95860dbc does
BODIES: dict[str, tuple[bytes, str, bool]] = {
    "plain": (WELL.encode(), "", True),
    "marked": (WELL.encode("utf-8-sig"), "", True),
    "utf16": (WELL.encode("utf-16"), "", True),
    "utf16-unmarked": (WELL.encode("utf-16-le"), "", True),
    "utf32": (WELL.encode("utf-32"), "", True),
    "latin1": (WELL.encode("latin-1"), "", False),
    "invalid": (WELL.replace("gr", "gr\x00").encode().replace(b"\x00", b"\xff"), "", False),
    "gzip": (gzip.compress(WELL.encode()), "gzip", True),
    "deflate": (zlib.compress(WELL.encode()), "deflate", True),
    "raw-deflate": (raw_deflate(WELL.encode()), "deflate", True),
    "false-gzip": (WELL.encode(), "gzip", False),
    "gzip-unsaid": (gzip.compress(WELL.encode()), "", False),
    "gzip-cut": (gzip.compress(WELL.encode())[:-12], "gzip", False),
    "gzip-without-its-end": (gzip.compress(WELL.encode())[:-8], "gzip", True),
    "x-gzip": (gzip.compress(WELL.encode()), "x-gzip", True),
    "said-in-capitals": (gzip.compress(WELL.encode()), "GZIP", True),
    "identity": (WELL.encode(), "identity", True),
    "unknown-encoding": (WELL.encode(), "x-other", False),
    "large": (WELL.replace("gr\u00fcn", "x" * 1_500_000).encode(), "", True),
    "trailing": (WELL.encode() + b"\nthanks", "", False),
    "empty": (b"", "", False),
}


class _Members(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        _, name, page = self.path.split("/")
        body, encoding, _ = BODIES[name] if page == "health" else (VERSIONS, "", True)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if encoding:
            self.send_header("Content-Encoding", encoding)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is to be said of each request."""


@contextmanager
def members() -> Iterator[dict[str, dict[str, object]]]:
    """Entries of a redirector's `hosts`, the plain one is the prime."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Members)
    Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    try:
        yield {
            name: {
                "prime": name == "plain",
                "url": f"{base}/{name}",
                "weight": 1,
                "health": f"{base}/{name}/health",
                "versions": f"{base}/{name}/versions",
            }
            for name in BODIES
        }
    finally:
        server.shutdown()
        server.server_close()
