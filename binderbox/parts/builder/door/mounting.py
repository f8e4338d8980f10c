"""Which repository of the registry has a layer already, so that a push mounts it there and sends no byte of it.

containerd asks for a mount where a blob's label names a repository of the same registry (containerd v2
core/remotes/docker/pusher.go, handler.go), and nobody labels what BuildKit has exported: each image sent its whole base. A
repository that was forgotten since answers such a question with an ordinary upload; its layers are labelled anew after that.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .api import Api
from .config import DoorConfig
from .containerd import authorization

LABEL = "containerd.io/distribution.source"
ASK_S = 10
MOST_REMEMBERED = 20_000  # layers


@dataclass(frozen=True)
class Sent:
    """What of an image's layers a push sends, and what it has mounted, in compressed bytes."""

    sent_bytes: int
    mounted_bytes: int


@dataclass
class Sources:
    """+ has: whether a repository has a blob; label: writes a label on a blob of containerd's"""

    has: Callable[[str, str], bool]
    label: Callable[[str, str], None]
    _of: dict[str, str] = field(default_factory=dict)  # layer to a repository that had it

    def before(self, layers: Mapping[str, int]) -> Sent:
        """What a push of these layers will do; a source that has gone is forgotten."""
        mounted = 0
        for digest, size in layers.items():
            source = self._of.get(digest)
            if source and self._asked(source, digest):
                mounted += size
            else:
                self._of.pop(digest, None)
        return Sent(sum(layers.values()) - mounted, mounted)

    def after(self, repository: str, layers: Mapping[str, int]) -> None:
        """They are in this repository now: those without a source have it for theirs."""
        for digest in layers:
            if digest not in self._of:
                self.label(digest, repository)
                self._of[digest] = repository
        while len(self._of) > MOST_REMEMBERED:
            self._of.pop(next(iter(self._of)))

    def _asked(self, repository: str, digest: str) -> bool:
        try:
            return self.has(repository, digest)
        except (OSError, http.client.HTTPException):
            return False


def of_registry(config: DoorConfig, api: Api) -> Sources:
    """Those of the node's own registry, asked with its credential."""
    host = config.registry.rpartition(":")[0] or config.registry

    def has(repository: str, digest: str) -> bool:
        connection = http.client.HTTPConnection(urlsplit(config.registry_url).netloc, timeout=ASK_S)
        try:
            connection.request(
                "HEAD", f"/v2/{repository}/blobs/{digest}", headers={"Authorization": authorization(config)}
            )
            return connection.getresponse().status == 200
        finally:
            connection.close()

    def label(digest: str, repository: str) -> None:
        api.label_content(digest, f"{LABEL}.{host}", repository)

    return Sources(has, label)
