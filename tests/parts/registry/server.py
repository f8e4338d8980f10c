"""The rig's registry with the configuration that its chart renders, on a real bucket, with the key made for it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt

from binderbox import layout
from binderbox.world.s3 import store
from binderbox.world.s3.store import Key
from tests.charts import rendering
from tests.rig import binaries
from tests.world.s3.storeserver import running_store

ROOT = Key("rootrootroot", "0123456789abcdef0123456789abcdef01234567")
KEY = Key("a1b2c3d4e5f6a7b8c9d0", "fedcba9876543210fedcba9876543210fedcba98")
PASSWORD = "f00f" * 12
OCI = "application/vnd.oci.image.manifest.v1+json"


@dataclass
class Registry:
    """+ store: the object store's address; log: what the server writes"""

    port: int
    store: str = ""
    log: Path = Path()
    password: str = PASSWORD

    def ask(
        self, method: str, path: str, body: bytes = b"", *, known: bool = True, **headers: str
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        pair = base64.b64encode(f"binderbox:{self.password}".encode()).decode()
        if known:
            headers["Authorization"] = f"Basic {pair}"
        connection.request(method, path, body, headers)
        return connection.getresponse()

    def push_blob(self, name: str, data: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        started = self.ask("POST", f"/v2/{name}/blobs/uploads/")
        assert started.status == 202, started.read()
        where = started.headers["Location"].partition(f":{self.port}")[2]
        done = self.ask("PUT", f"{where}&digest={digest}", data)
        assert done.status == 201, done.read()
        return digest

    def push(self, name: str, tag: str, *layers: bytes) -> str:
        """An image of these layers; returns its manifest's digest. What is there already is not sent again."""
        config = b'{"made": "%s"}' % tag.encode()
        for one in (config, *layers):
            self.have_blob(name, one)
        manifest = manifest_of(config, layers)
        put = self.ask(
            "PUT", f"/v2/{name}/manifests/{tag}", json.dumps(manifest).encode(), **{"Content-Type": OCI}
        )
        assert put.status == 201, put.read()
        return str(put.headers["Docker-Content-Digest"])

    def have_blob(self, name: str, data: bytes) -> str:
        """As containerd does: asked for, then sent."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if self.ask("HEAD", f"/v2/{name}/blobs/{digest}").status == 200:
            return digest
        return self.push_blob(name, data)

    def reads(self, name: str, tag: str) -> bool:
        """Whether an image can be had with everything that it names; raises AssertionError where only a part can."""
        asked = self.ask("GET", f"/v2/{name}/manifests/{tag}", Accept=OCI)
        body = asked.read()
        if asked.status == 404:
            return False
        found = json.loads(body)
        for one in (found["config"], *found["layers"]):
            answer = self.ask("GET", f"/v2/{name}/blobs/{one['digest']}")
            data = answer.read()
            assert (answer.status, len(data)) == (200, one["size"]), (name, tag, one["digest"], answer.status)
        return True


def manifest_of(config: bytes, layers: Sequence[bytes]) -> dict[str, Any]:
    parts = [
        {
            "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd",
            "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
            "size": len(data),
        }
        for data in (config, *layers)
    ]
    return {"schemaVersion": 2, "mediaType": OCI, "config": parts[0], "layers": parts[1:]}


@contextmanager
def running_registry(where: Path) -> Iterator[Registry]:
    """A server with its data below `where`; it ends with the block."""
    release = rendering.ours()["registry"]
    rendered = rendering.objects(rendering.template(release, where).stdout)
    (config,) = [each["data"]["config.yml"] for each in rendered if each["kind"] == "ConfigMap"]
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (where / "htpasswd").write_text(f"binderbox:{hashed}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running_store(where, ROOT) as objects:
        store.ensure_bucket(objects, layout.BUCKET)
        store.ensure_owner(objects, layout.BUCKET, "binder.example.org")
        store.ensure_ceiling(objects, layout.BUCKET, 10)
        store.ensure_key(objects, KEY, layout.BUCKET)
        config = config.replace(release.values["s3"]["endpoint"], f"http://{objects.address}")
        config = config.replace("/etc/distribution", str(where)).replace(":5000", f"127.0.0.1:{port}")
        (where / "config.yml").write_text(config)
        settings = {
            "REGISTRY_STORAGE_S3_ACCESSKEY": KEY.access,
            "REGISTRY_STORAGE_S3_SECRETKEY": KEY.secret,
            "REGISTRY_HTTP_SECRET": "0" * 64,
            "OTEL_TRACES_EXPORTER": "none",
        }
        command = [str(binaries.registry()), "serve", str(where / "config.yml")]
        with (where / "registry.log").open("w") as log:
            process = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log)
        try:
            there = Registry(port, objects.address, where / "registry.log")
            wait(there, process, where / "registry.log")
            yield there
        finally:
            process.terminate()
            process.wait(15)


def wait(there: Registry, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the readiness probe's question is answered well."""
    for _ in range(150):
        assert process.poll() is None, log.read_text()
        try:
            if there.ask("GET", "/", known=False).status == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(log.read_text())
