"""Retention over a registry of so many manifests, on a real object store: `python -m tests.bench.manifests [100000]`.

Needs no host. A few images are pushed through a real registry; then their objects are multiplied in the object store's own
directory, under other digests and repositories, since a push of each would take hours. Printed are, for the first pass, for a later
one and for a bare listing of the bucket: seconds, and the highest memory of the process that did it.
"""

from __future__ import annotations

import json
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from binderbox import layout
from binderbox.member.model import Member
from binderbox.parts.agent.jobs import retention
from binderbox.parts.agent.jobs.bucket import Bucket
from binderbox.parts.agent.jobs.config import AgentConfig, parse_config
from binderbox.parts.agent.units import make_inputs
from tests.parts.agent.test_travels import ALLOWED, DISK, FACTS
from tests.parts.registry.server import KEY, Registry, running_registry

PUSHED = 20


def multiplied(data: Path, images: int) -> None:
    """Each has a repository, a manifest, a config and a layer of its own, as a push leaves them."""
    root = data / layout.BUCKET / "docker/registry/v2"
    templates = []
    for repository in sorted((root / "repositories").iterdir()):
        manifests = repository / "_manifests"
        (revision,) = (manifests / "revisions/sha256").iterdir()
        layers = sorted((repository / "_layers/sha256").iterdir())
        link = (manifests / "tags/1/current/link/xl.meta").read_bytes()
        blob = lambda digest: (root / f"blobs/sha256/{digest[:2]}/{digest}/data/xl.meta").read_bytes()  # noqa: E731
        templates.append((link, blob(revision.name), [blob(one.name) for one in layers]))
    for number in range(images - len(templates)):
        link, manifest, layers_of = templates[number % len(templates)]
        repository, digest = root / f"repositories/i-many-{number}", secrets.token_hex(32)
        _write(root / f"blobs/sha256/{digest[:2]}/{digest}/data", manifest)
        for content in layers_of:
            layer = secrets.token_hex(32)
            _write(root / f"blobs/sha256/{layer[:2]}/{layer}/data", content)
            _write(repository / f"_layers/sha256/{layer}/link", link)
        _write(repository / f"_manifests/revisions/sha256/{digest}/link", link)
        _write(repository / "_manifests/tags/1/current/link", link)
        _write(repository / f"_manifests/tags/1/index/sha256/{digest}/link", link)


def _write(directory: Path, content: bytes) -> None:
    os.makedirs(directory)
    with open(directory / "xl.meta", "wb") as file:
        file.write(content)


def config() -> AgentConfig:
    text = make_inputs(Member(domain="b.example.org"), FACTS, ALLOWED, "b:1", disk=DISK).config
    return replace(parse_config(text), registry_max_gb=0.0)


def measured(what: str, store: str, state: str) -> dict[str, float]:
    """One pass in a process of its own, whose memory is its alone."""
    words = [sys.executable, "-m", "tests.bench.manifests", what, store, state]
    found: dict[str, float] = json.loads(
        subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    )
    return found


def one_pass(what: str, store: str, state: str) -> None:
    for name in ("RETENTION_STATE", "RETENTION_MEMORY", "PUSH_LOCK", "AUDIT_FILE"):
        setattr(layout, name, f"{state}/{name.lower()}")
    bucket = Bucket(f"http://{store}", layout.BUCKET, KEY.access, KEY.secret)
    began = time.monotonic()
    if what == "list":
        count = sum(1 for _ in bucket.all())
    else:
        retention._bucket = lambda config: bucket
        assert retention.run(config(), {"dry": True})
        count = json.loads(Path(layout.RETENTION_STATE).read_text())["images"]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(
        json.dumps({"seconds": round(time.monotonic() - began, 1), "peak_mb": round(peak_mb), "count": count})
    )


def main(images: int) -> None:
    with tempfile.TemporaryDirectory(prefix="manifests") as where, running_registry(Path(where)) as registry:
        _push(registry)
        began = time.monotonic()
        multiplied(Path(where) / "data", images)
        print(
            f"{images} images made in {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        state = f"{where}/state"
        os.mkdir(state)
        for what in ("list", "first", "list", "later", "list", "later"):
            print(
                what,
                json.dumps(measured(what, registry.store, state)),
                f"load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


def _push(registry: Registry) -> None:
    for number in range(PUSHED):
        registry.push(f"i-pushed-{number}", "1", os.urandom(300))


if __name__ == "__main__":
    if len(sys.argv) == 4:
        one_pass(*sys.argv[1:])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
