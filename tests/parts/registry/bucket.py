"""A registry's bucket made of names: what distribution 3 leaves after pushes."""

from __future__ import annotations

import hashlib

from binderbox import layout
from binderbox.parts.registry.tree import Found, Tree, read

OLD, NOW = 1_000_000.0, 2_000_000.0


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Made:
    """`push` as a registry has it; `tree` and `reaches` as a sweep reads them."""

    def __init__(self) -> None:
        self.objects: dict[str, Found] = {}
        self.reaches: dict[str, tuple[str, ...]] = {}

    def put(self, key: str, size_bytes: int, changed_s: float) -> str:
        self.objects[f"{layout.REGISTRY_ROOT}{key}"] = Found(
            f"{layout.REGISTRY_ROOT}{key}", size_bytes, changed_s
        )
        return f"{layout.REGISTRY_ROOT}{key}"

    def push(self, name: str, tag: str, *layers: str, at: float = OLD, size_bytes: int = 100) -> str:
        """An image of these layers; returns its manifest's digest."""
        manifest = digest(f"manifest of {' '.join(layers)}")
        for layer in layers:
            self.blob(name, digest(layer), at, size_bytes)
        self.blob(name, manifest, at, 1, link=False)
        links = f"repositories/{name}/_manifests"
        self.put(f"{links}/revisions/sha256/{manifest}/link", 71, at)
        self.put(f"{links}/tags/{tag}/index/sha256/{manifest}/link", 71, at)
        current = self.put(f"{links}/tags/{tag}/current/link", 71, at)
        self.reaches |= {current: (manifest,), manifest: tuple(map(digest, layers))}
        return manifest

    def blob(self, name: str, of: str, at: float, size_bytes: int, *, link: bool = True) -> None:
        key = f"blobs/sha256/{of[:2]}/{of}/data"
        if f"{layout.REGISTRY_ROOT}{key}" not in self.objects:  # one that is here is mounted
            self.put(key, size_bytes, at)
        if link:
            self.put(f"repositories/{name}/_layers/sha256/{of}/link", 71, at)

    @property
    def tree(self) -> Tree:
        return read(self.objects.values())
