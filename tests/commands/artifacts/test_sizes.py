"""How much is to be fetched: each blob once, by the sizes that servers tell, and nothing is fetched for it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from binderbox.artifacts.resolve import Artifact
from binderbox.commands.artifacts.sizes import told
from binderbox.errors import NoAnswer
from binderbox.output.requests import Said

A, B = "a" * 64, "b" * 64
FILE = Artifact("k3s", "file", A, "https://example.org/k3s", "1", url="https://example.org/k3s")


def image(name: str) -> Artifact:
    return Artifact(name, "image", A, f"quay.io/x/{name}:1", "1", pull=f"quay.io/x/{name}@sha256:{A}")


def manifest(*sizes: int) -> Mapping[str, object]:
    layers = [{"digest": f"sha256:{size:064x}", "size": size * 1_000_000} for size in sizes]
    return {"schemaVersion": 2, "config": {"digest": f"sha256:{'c' * 64}", "size": 0}, "layers": layers}


def index(amd64: str) -> Mapping[str, object]:
    archs = {"amd64": amd64, "arm64": "f" * 64}
    return {
        "schemaVersion": 2,
        "manifests": [
            {"digest": f"sha256:{digest}", "size": 9, "platform": {"architecture": arch, "os": "linux"}}
            for arch, digest in archs.items()
        ],
    }


class Servers:
    def __init__(self, **manifests: Mapping[str, object]) -> None:
        self.manifests = manifests

    def __call__(self, url: str, headers: Mapping[str, str], limit_mb: float) -> Said:
        if url == FILE.url:
            assert headers == {"Range": "bytes=0-0"}
            return Said(url, 206, {"content-range": "bytes 0-0/500000000"}, b"x")
        name = url.split("/")[5] if url.endswith(A) else "chosen"
        return Said(url, 200, {}, json.dumps(self.manifests[name]).encode())


def test_files_and_layers_are_counted_once_each() -> None:
    servers = Servers(one=manifest(400, 100), two=manifest(400, 150))
    assert told(servers, [FILE, image("one"), image("two")], "amd64") == (
        "1.1 GB to fetch, about 3 minutes at 50 Mbit/s"
    )


def test_of_an_index_the_hosts_own_architecture_counts() -> None:
    servers = Servers(one=index(B), chosen=manifest(50))
    assert told(servers, [image("one")], "amd64") == "0.1 GB to fetch, about 1 minute at 50 Mbit/s"
    assert told(servers, [image("one")], "riscv64") == ""


def test_what_cannot_be_asked_is_not_told() -> None:
    def nobody(url: str, headers: Mapping[str, str], limit_mb: float) -> Said:
        raise NoAnswer(f"{url}: no route")

    assert told(nobody, [FILE], "amd64") == ""
    assert told(Servers(), [image("one")], "amd64") == ""
