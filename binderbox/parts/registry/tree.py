"""What lies in the registry's bucket, by the names of its objects: distribution's layout (registry/storage/paths.go). Pure.

Standard library only: it travels to the node. An object whose name says nothing here is nobody's to touch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from binderbox import layout

_HEX = "[0-9a-f]{64}"
_BLOB = re.compile(rf"blobs/sha256/[0-9a-f]{{2}}/({_HEX})/data")
_TAG = re.compile(
    rf"repositories/(.+)/_manifests/tags/([A-Za-z0-9_][A-Za-z0-9._-]*)/(?:(current)/link|index/sha256/{_HEX}/link)"
)
_REVISION = re.compile(rf"repositories/(.+)/_manifests/revisions/sha256/({_HEX})/link")
_LAYER = re.compile(rf"repositories/(.+)/_layers/sha256/({_HEX})/link")


@dataclass(frozen=True)
class Found:
    """One object: `changed_s` in seconds since 1970, `etag` another one whenever its content is."""

    key: str
    size_bytes: int
    changed_s: float
    etag: str = ""


@dataclass
class Repository:
    """One repository's links: `tags` what each tag leads to now, `tag_keys` all that a tag consists of; digests are 64 hex digits."""

    tags: dict[str, Found] = field(default_factory=dict)
    tag_keys: dict[str, list[str]] = field(default_factory=dict)
    revisions: dict[str, Found] = field(default_factory=dict)
    layers: dict[str, Found] = field(default_factory=dict)


@dataclass
class Tree:
    """The whole bucket; `blobs` by digest."""

    blobs: dict[str, Found] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        return sum(one.size_bytes for one in self.blobs.values())


def read(objects: Iterable[Found]) -> Tree:
    """A listing of the bucket to the tree that it is."""
    tree = Tree()
    for one in objects:
        name = one.key.removeprefix(layout.REGISTRY_ROOT)
        if blob := _BLOB.fullmatch(name):
            tree.blobs[blob[1]] = one
        elif tag := _TAG.fullmatch(name):
            repository = tree.repositories.setdefault(tag[1], Repository())
            repository.tag_keys.setdefault(tag[2], []).append(one.key)
            if tag[3]:
                repository.tags[tag[2]] = one
        elif revision := _REVISION.fullmatch(name):
            tree.repositories.setdefault(revision[1], Repository()).revisions[revision[2]] = one
        elif layer := _LAYER.fullmatch(name):
            tree.repositories.setdefault(layer[1], Repository()).layers[layer[2]] = one
    return tree


def reached(kept: Iterable[str], reaches: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Digests that can be reached from manifests: themselves, and what they name; an index leads to manifests."""
    found: set[str] = set()
    todo = list(kept)
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += reaches.get(one, ())
    return found


def digest_in(link: bytes) -> str:
    """The 64 hex digits that a link holds; raises ValueError for anything else."""
    text = link.decode("ascii", "replace").strip()
    if not re.fullmatch(f"sha256:{_HEX}", text):
        raise ValueError(f"no link: {text[:80]!r}")
    return text.removeprefix("sha256:")


def named_in(manifest: object) -> tuple[str, ...]:
    """Digests that a parsed manifest, or an index of some, names; raises ValueError for one of another kind."""
    if not isinstance(manifest, dict):
        raise ValueError("a manifest is no object")
    parts = [*manifest.get("manifests", ()), *manifest.get("layers", ())]
    if "config" in manifest:
        parts.append(manifest["config"])
    if not parts:
        raise ValueError(f"a manifest names nothing: {str(manifest)[:80]}")
    try:
        return tuple(dict.fromkeys(digest_in(str(one["digest"]).encode()) for one in parts))
    except (KeyError, TypeError) as error:
        raise ValueError(f"a manifest names a part without a digest: {error}") from error
