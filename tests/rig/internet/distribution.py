"""CNCF distribution over a storage directory, asked at a Unix socket, where no other process can take its port."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.rig import binaries


class UnixConnection(http.client.HTTPConnection):
    """HTTP to a server at a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("registry", timeout=60, blocksize=1024 * 1024)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self.path))


class Distribution:
    """From `with`, or from `start` to `close`.

    + storage: its directory, with `docker/registry/v2` in it
    + run: a directory for its socket, configuration and log
    + auth: its setting `auth`; without one everybody may push
    + blobs_at: a base URL to which it sends those who ask for a blob, instead of answering with it
    """

    def __init__(
        self, storage: Path, run: Path, *, auth: Mapping[str, Any] | None = None, blobs_at: str = ""
    ) -> None:
        self.storage, self._run = storage, run
        self._socket = run / "registry.sock"
        run.mkdir(parents=True, exist_ok=True)
        config: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(storage)},
                # what it serves may be links into the rig's cache
                "maintenance": {
                    "uploadpurging": {"enabled": False},
                    "readonly": {"enabled": auth is not None},
                },
            },
            "http": {"net": "unix", "addr": str(self._socket), "secret": "rig", "relativeurls": True},
        }
        if auth is not None:
            config["auth"] = dict(auth)
        if blobs_at:
            config["middleware"] = {"storage": [{"name": "redirect", "options": {"baseurl": blobs_at}}]}
        (run / "config.yml").write_text(json.dumps(config))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [str(binaries.registry()), "serve", str(self._run / "config.yml")]
        environment = os.environ | {"OTEL_TRACES_EXPORTER": "none"}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        for _ in range(200):
            if self._process.poll() is not None:
                break
            try:
                self.ask("GET", "/").read()
                return
            except OSError:
                time.sleep(0.05)
        self.close()
        raise RuntimeError(f"the registry did not start:\n{self.log.read_text()}")

    def close(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(15)

    def __enter__(self) -> Distribution:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def log(self) -> Path:
        return self._run / "registry.log"

    def ask(
        self, method: str, target: str, body: Any = None, headers: Mapping[str, str] = {}
    ) -> http.client.HTTPResponse:
        connection = UnixConnection(self._socket)
        connection.request(method, target, body, {**headers, "Connection": "close"})
        return connection.getresponse()
