"""A mirror of a site: any image of the registries that it knows, without a token, by the `ns` of each question."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qs

from tests.rig.internet.registries import Registry
from tests.rig.internet.replies import Asked, Reply, Role, text

MIRROR = "mirror.internet.test"  # RFC 6761
ASKED = re.compile(r"/v2/(?P<repository>.+)/(manifests|blobs)/(?P<what>[^/]+)")


class Mirror:
    """`registries` by the name that images have for them; containerd and BuildKit say it as `ns`."""

    def __init__(self, registries: Mapping[str, Registry]) -> None:
        self._registries = registries
        self.others: dict[tuple[str, str], Role] = {}  # (name, first part of the repository) -> who has it

    def ask(self, asked: Asked) -> Reply:
        if asked.path.rstrip("/") in ("", "/v2"):
            return text(200, "{}")
        found = ASKED.fullmatch(asked.path)
        (name, *_) = parse_qs(asked.query).get("ns", [""])
        registry = self._registries.get(name)
        if found and (other := self.others.get((name, found["repository"].partition("/")[0]))):
            return other(asked)
        if found is None or registry is None:
            return text(404, f"this mirror knows nothing of {name or 'nobody'}\n")
        return registry.without_token(asked, found["repository"], found["what"])
