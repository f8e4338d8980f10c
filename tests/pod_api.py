"""A tiny API server for tests of watchers: GET /api/v1/pods, list and watch, over TLS with a bearer token.

Run inside a namespace: `python pod_api.py CERT KEY TOKEN PORT`. Each line on stdin is a watch event (JSON), or the
words `break` (drop every watch in the middle) and `down`/`up` (answer 503 or normally). Prints `ready` once, and the
number of lists served so far after each line.
"""

from __future__ import annotations

import json
import queue
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

pods: dict[str, dict[str, Any]] = {}
history: list[tuple[int, dict[str, Any]]] = []  # a watch begins where its list ended
watches: list[queue.Queue[Any]] = []
state = {"version": 1, "lists": 0, "down": 0}
lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.headers["Authorization"] != f"Bearer {sys.argv[3]}" or state["down"]:
            self.send_error(503 if state["down"] else 401)
            return
        with lock:
            feed: queue.Queue[Any] = queue.Queue()
            watching = "watch=1" in self.path
            body = {"metadata": {"resourceVersion": str(state["version"])}, "items": list(pods.values())}
            if watching:
                since = int(parse_qs(urlsplit(self.path).query)["resourceVersion"][0])
                for version, event in history:
                    if version > since:
                        feed.put(event)
                watches.append(feed)
            else:
                state["lists"] += 1
        self.send_response(200)
        self.end_headers()
        if not watching:
            self.wfile.write(json.dumps(body).encode())
            return
        self.wfile.flush()
        while (event := feed.get()) is not None:
            self.wfile.write(json.dumps(event).encode() + b"\n")
            self.wfile.flush()


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[4])), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    for line in sys.stdin:
        word = line.strip()
        with lock:
            if word in ("down", "up"):
                state["down"] = int(word == "down")
            elif word != "break":
                event = json.loads(word)
                state["version"] += 1
                history.append((state["version"], event))
                uid = event["object"]["metadata"]["uid"]
                if event["type"] == "DELETED":
                    pods.pop(uid, None)
                else:
                    pods[uid] = event["object"]
                for feed in watches:
                    feed.put(event)
            if word in ("down", "break"):
                for feed in watches:
                    feed.put(None)
                watches.clear()
        print(state["lists"], flush=True)


if __name__ == "__main__":
    main()
