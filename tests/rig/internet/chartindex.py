"""The chart index: its old host sends everybody to the new one, and the index itself still names the old one."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping
from urllib.parse import urlsplit

import yaml

from tests.rig.internet.goods import Good
from tests.rig.internet.replies import Asked, Reply, Role, content, moved, text

OLD, NEW = "jupyterhub.github.io", "hub.jupyter.org"
BASE = "/helm-chart/"


class ChartIndex:
    """The roles of both hosts."""

    def __init__(self, goods: list[Good]) -> None:
        charts = [good for good in goods if good.pin.kind == "chart"]
        self._charts = {
            f"{BASE}{posixpath.basename(urlsplit(good.pin.source).path)}": good.path for good in charts
        }
        self._index = _index(charts)
        self.roles: Mapping[str, Role] = {OLD: self._moved, NEW: self._serve}

    def _moved(self, asked: Asked) -> Reply:
        if not asked.path.startswith(BASE):
            return text(404, "There isn't a GitHub Pages site here.\n")
        return moved(301, f"https://{NEW}{asked.target}")

    def _serve(self, asked: Asked) -> Reply:
        if asked.path == f"{BASE}index.yaml":
            return content(asked, self._index, "text/yaml")
        chart = self._charts.get(asked.path)
        return content(asked, chart, "application/x-gzip") if chart else text(404, "no such chart\n")


def _index(charts: list[Good]) -> bytes:
    """As the real one: newest first, and other charts beside the one that is wanted."""
    ours = [_entry("binderhub", good.pin.version, good.pin.sha256 or "") for good in charts]
    others = {name: [_entry(name, version, _no_sum(name, version))] for name, version in OTHERS.items()}
    entries = {**others, "binderhub": [*ours, *others["binderhub"]]}
    return yaml.safe_dump(
        {"apiVersion": "v1", "entries": entries, "generated": "2026-01-01T00:00:00Z"}
    ).encode()


# which are listed and not to be had
OTHERS = {
    "binderhub": "0.0.0-0.dev.git.1.h0000000",
    "jupyterhub": "0.0.0-0.dev.git.1.h0000000",
    "binderhub-service": "0.1.0",
}


def _entry(name: str, version: str, digest: str) -> dict[str, object]:
    return {
        "apiVersion": "v2",
        "name": name,
        "version": version,
        "created": "2026-01-01T00:00:00Z",
        "digest": digest,
        "urls": [f"https://{OLD}{BASE}{name}-{version}.tgz"],
    }


def _no_sum(name: str, version: str) -> str:
    return hashlib.sha256(f"the rig has no {name} {version}".encode()).hexdigest()
