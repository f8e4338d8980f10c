"""BuildKit's records of the layers that it has, as far as the door reads them: the keys of 0.32's cache/metadata.go."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .bolt import State

BUILT_HERE = re.compile(r"[a-z0-9]{25}")  # identity.NewID
JOINED = (
    b"cache.mergeParents",
    b"cache.lowerDiffParent",
    b"cache.upperDiffParent",
)  # of records that are no single layer
INDEX = b"chainid:"


@dataclass(frozen=True)
class Layer:
    """A record with a layer's archive.

    + chain: the name of the tree, by the digests of its layers' contents; diff_id: of its own
    + blob: the archive's digest; built: whether a step of a build made it here, or it was pulled
    + images: those with which it was pulled, as NAME@DIGEST
    + made_at: seconds since 1970
    """

    record: str
    chain: str
    diff_id: str
    blob: str
    built: bool
    images: tuple[str, ...]
    made_at: float


def named(state: State, chain: str = "") -> Iterator[tuple[str, str]]:
    """(chain, record) of all that have such a name, or of those that have this one."""
    for key, _ in state.items((b"_index",), INDEX + (f"{chain}::".encode() if chain else b"")):
        name, _, record = key.removeprefix(INDEX).decode().rpartition("::")
        yield name, record


def layer(state: State, record: str) -> Layer | None:
    """None for a record that has gone, or has no archive."""
    values = dict(state.items((b"_main", record.encode()), b"cache."))

    def told(name: bytes) -> Any:
        return json.loads(values[name])["value"] if values.get(name) else None  # what was cleared is empty

    if told(b"cache.deleted") or not told(b"cache.diffID") or not told(b"cache.blob"):
        return None
    return Layer(
        record,
        str(told(b"cache.chainID") or ""),
        str(told(b"cache.diffID")),
        str(told(b"cache.blob")),
        bool(BUILT_HERE.fullmatch(record)) and told(b"cache.snapshot") == record,
        tuple(map(str, told(b"cache.imageRefs") or ())),
        float(told(b"cache.createdAt") or 0) / 1e9,
    )


def layers_down(state: State, record: str, most: int) -> Iterator[str | None]:
    """The digests of a record's own layer and of all below it; None for what is no such layer or has gone."""
    for _ in range(most):
        gone = of(state, record, b"cache.deleted")
        joined = any(of(state, record, name) for name in JOINED)
        yield None if gone or joined else of(state, record, b"cache.diffID")
        record = str(of(state, record, b"cache.parent") or "")
        if not record:
            return


def on_top_of(state: State, wanted: Sequence[str]) -> list[str]:
    """These records, and all that were made on top of them; a step that was not exported has no name, and counts as well."""
    above: dict[str, list[str]] = {}
    for record in (key.decode() for key in state.buckets((b"_main",))):
        for name in (b"cache.parent", *JOINED):
            found = of(state, record, name) or ()
            for parent in (found,) if isinstance(found, str) else found:
                above.setdefault(parent, []).append(record)
    known = dict.fromkeys(wanted)
    waiting = list(wanted)
    while waiting:
        new = [one for one in above.get(waiting.pop(), ()) if one not in known]
        known |= dict.fromkeys(new)
        waiting += new
    return list(known)


def of(state: State, record: str, name: bytes) -> Any:
    """A value of a record; None where it has none, or one that was cleared."""
    value = next((value for key, value in state.items((b"_main", record.encode()), name) if key == name), b"")
    return json.loads(value)["value"] if value else None
