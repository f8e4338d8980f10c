"""The chart index: its old host sends everybody to the new one, and the index itself still names the old one."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import yaml

from tests.rig.internet.goods import Good
from tests.rig.internet.replies import Asked, Reply, Role, content, moved, text

OLD, NEW = "jupyterhub.github.io", "hub.jupyter.org"
BASE = "/helm-chart/"
CRYPTNONO, CRYPTNONO_BASE = "cryptnono.github.io", "/cryptnono/"


class ChartIndex:
    """The roles of all hosts with charts."""

    def __init__(self, goods: list[Good]) -> None:
        charts = {good.pin.name: good for good in goods if good.pin.kind == "chart"}
        binderhub, cryptnono = charts["binderhub-chart"], charts["cryptnono-chart"]
        self._jupyterhub = _Files(
            BASE, binderhub, _index(_entry("binderhub", binderhub, OLD, BASE), *_others())
        )
        self._cryptnono = _Files(
            CRYPTNONO_BASE, cryptnono, _index(_entry("cryptnono", cryptnono, CRYPTNONO, CRYPTNONO_BASE))
        )
        self.roles: Mapping[str, Role] = {
            OLD: self._moved,
            NEW: self._jupyterhub.serve,
            CRYPTNONO: self._cryptnono.serve,
        }

    def _moved(self, asked: Asked) -> Reply:
        if not asked.path.startswith(BASE):
            return text(404, "There isn't a GitHub Pages site here.\n")
        return moved(301, f"https://{NEW}{asked.target}")


@dataclass(frozen=True)
class _Files:
    """An index and the one chart of it that is to be had, below a path."""

    base: str
    chart: Good
    index: bytes

    def serve(self, asked: Asked) -> Reply:
        if asked.path == f"{self.base}index.yaml":
            return content(asked, self.index, "text/yaml")
        if asked.path == f"{self.base}{posixpath.basename(urlsplit(self.chart.pin.source).path)}":
            return content(asked, self.chart.path, "application/x-gzip")
        return text(404, "no such chart\n")


def _index(*found: dict[str, object]) -> bytes:
    """As the real one: newest first, and other charts beside the one that is wanted."""
    entries: dict[str, list[dict[str, object]]] = {}
    for one in found:
        entries.setdefault(str(one["name"]), []).append(one)
    return yaml.safe_dump(
        {"apiVersion": "v1", "entries": entries, "generated": "2026-01-01T00:00:00Z"}
    ).encode()


# which are listed and not to be had
OTHERS = {
    "binderhub": "0.0.0-0.dev.git.1.h0000000",
    "jupyterhub": "0.0.0-0.dev.git.1.h0000000",
    "binderhub-service": "0.1.0",
}


def _others() -> Iterator[dict[str, object]]:
    for name, version in OTHERS.items():
        nothing = hashlib.sha256(f"the rig has no {name} {version}".encode()).hexdigest()
        yield _described(name, version, nothing, f"https://{OLD}{BASE}")


def _entry(name: str, good: Good, host: str, base: str) -> dict[str, object]:
    return _described(name, good.pin.version, good.pin.sha256 or "", f"https://{host}{base}")


def _described(name: str, version: str, digest: str, place: str) -> dict[str, object]:
    return {
        "apiVersion": "v2",
        "name": name,
        "version": version,
        "created": "2026-01-01T00:00:00Z",
        "digest": digest,
        "urls": [f"{place}{name}-{version}.tgz"],
    }
