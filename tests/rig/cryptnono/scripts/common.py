"""What the double's programs have in common: lines as structlog writes them, headers as a compiler wants them, metrics.

They attach to nothing and kill nobody. Whatever is posted to a detector's port is printed as a line of its log, so that a
test can have it say what the real one would.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def say(event: str, level: str = "info", **more: object) -> None:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    print(json.dumps({**more, "event": event, "level": level, "timestamp": now}), flush=True)


def compiled() -> None:
    """As BCC: the headers of the running kernel are where it looks, or it ends."""
    say("Compiling and loading BPF program...")
    build = f"/lib/modules/{os.uname().release}/build"
    if not os.path.isdir(f"{build}/include"):
        print(f"chdir({build}): No such file or directory", flush=True)
        sys.exit("Exception: Failed to compile BPF module <text>")


def serve(port: int, metrics: str) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(metrics.encode())

        def do_POST(self) -> None:
            print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
            self.answer(b"")

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    threading.Thread(target=ThreadingHTTPServer(("", port), Handler).serve_forever, daemon=True).start()


def watch() -> None:
    say("Watching for processes we don't like...")
    threading.Event().wait()
