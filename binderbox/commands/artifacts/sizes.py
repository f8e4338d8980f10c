"""How much is to be fetched, asked of those who have it; nothing of it is fetched for that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from binderbox.artifacts import manifests
from binderbox.artifacts.resolve import Artifact
from binderbox.artifacts.statements import Unstated
from binderbox.commands.artifacts.asking import AT_ONCE
from binderbox.commands.artifacts.registries import manifest_at, manifest_url
from binderbox.errors import NoAnswer
from binderbox.output.requests import Ask

SMALL_MB = 0.1
RATE_MBIT_S = 50  # what a small VM has at least; told with the time, so that anybody can reckon with another
GB = 1_000_000_000
Blobs = Mapping[str, int]
"""Name to bytes; images share layers, so what is one file has one name."""


def told(ask: Ask, artifacts: Iterable[Artifact], arch: str) -> str:
    """`1.4 GB to fetch, about 4 minutes at 50 Mbit/s`; nothing where not everything could be asked."""
    wanted = [one for one in artifacts if one.url or one.pull]
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = list(pool.map(lambda one: _blobs(ask, one, arch), wanted))
    except (NoAnswer, Unstated, ValueError, LookupError, TypeError):
        return ""  # a question that only informs stops nothing
    whole = sum({name: size for blobs in found for name, size in blobs.items()}.values())
    minutes = max(1, round(whole * 8 / (RATE_MBIT_S * 1_000_000) / 60))
    return (
        f"{whole / GB:.1f} GB to fetch, about {minutes} minute{'s' * (minutes > 1)} at {RATE_MBIT_S} Mbit/s"
    )


def _blobs(ask: Ask, one: Artifact, arch: str) -> Blobs:
    if one.url:
        said = ask(one.url, {"Range": "bytes=0-0"}, SMALL_MB)
        whole = re.fullmatch(r"bytes 0-0/(\d+)", said.headers.get("content-range", ""))
        if not whole:
            raise Unstated(f"{one.url}: HTTP {said.status}, and no size")
        return {one.url: int(whole[1])}
    body = _manifest(ask, one, one.sha256)
    if manifests.is_index(body):
        body = _manifest(ask, one, manifests.of_architecture(body, arch).sha256)
    return {blob.sha256: blob.size for blob in manifests.children(body)}


def _manifest(ask: Ask, one: Artifact, sha256: str) -> bytes:
    return manifest_at(ask, manifest_url(one.source, sha256))[0].body
