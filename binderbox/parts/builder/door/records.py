"""BuildKit's records of the layers that it has, as far as the door reads them: the keys of 0.32's cache/metadata.go."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from .bolt import State

BUILT_HERE = re.compile(r"[a-z0-9]{25}")  # identity.NewID
# Of records that are no single layer.
JOINED = (b"cache.mergeParents", b"cache.lowerDiffParent", b"cache.upperDiffParent")


def named(state: State, chain: str) -> Iterator[str]:
    """Records of a tree by its name, the digests of its layers' contents."""
    for key, _ in state.items((b"_index",), f"chainid:{chain}::".encode()):
        yield key.rpartition(b"::")[2].decode()


def is_built(state: State, record: str) -> bool:
    """Whether a step of a build made it here; what was pulled has another record's snapshot, or one with its own name."""
    return bool(BUILT_HERE.fullmatch(record)) and _values(state, record).get(b"cache.snapshot") == record


def layers_down(state: State, record: str, most: int) -> Iterator[str | None]:
    """The digests of a record's own layer and of all below it; None for what is no such layer or has gone."""
    for _ in range(most):
        values = _values(state, record)
        odd = any(values.get(name) for name in (b"cache.deleted", *JOINED))
        yield None if odd else values.get(b"cache.diffID")
        record = str(values.get(b"cache.parent") or "")
        if not record:
            return


def _values(state: State, record: str) -> dict[bytes, Any]:
    """Those of a record, without what was cleared, which is empty."""
    found = state.items((b"_main", record.encode()), b"cache.")
    return {name: json.loads(value).get("value") for name, value in found if value}
