"""Where releases are: github.com with its API and the host of its assets, and get.helm.sh, each with its list of sums."""

from __future__ import annotations

import hashlib
import json
import posixpath
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from tests.rig.internet.goods import Good
from tests.rig.internet.replies import Asked, Held, Reply, Role, content, moved, text

GITHUB, API, ASSETS = "github.com", "api.github.com", "release-assets.githubusercontent.com"
HELM = "get.helm.sh"
SIGNED = "sp=r&sv=2018-11-09&sr=b&spr=https&se=2100-01-01T00%3A00%3A00Z&sig=rig%3D"


@dataclass(frozen=True)
class File:
    """A file of a release; `path` is the decoded one of its URL."""

    path: str
    content: bytes | Path
    sha256: str

    @property
    def name(self) -> str:
        return posixpath.basename(self.path)

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    @property
    def asset(self) -> str:
        """Where GitHub's other host has it."""
        return f"/github-production-release-asset/1/{uuid.uuid5(uuid.NAMESPACE_URL, self.path)}"

    @property
    def signed(self) -> str:
        return f"{SIGNED}&response-content-disposition=attachment%3B%20filename%3D{quote(self.name)}"


def files_at(host: str, goods: list[Good]) -> dict[str, File]:
    """What a host of releases has, by path: the artifacts whose source it is, and their lists of sums."""
    found: dict[str, File] = {}
    lists: dict[str, list[File]] = {}
    for good in goods:
        source = urlsplit(good.pin.source)
        if source.hostname == host and good.pin.sha256:
            file = File(unquote(source.path), good.path, good.pin.sha256)
            found[file.path] = file
            lists.setdefault(unquote(urlsplit(good.pin.checksum_url or "").path), []).append(file)
    for path, stated in lists.items():
        words = provenance(stated) if path.endswith(".provenance.json") else sums(stated)
        found[path] = File(path, words, hashlib.sha256(words).hexdigest())
    return found


def sums(files: list[File]) -> bytes:
    """A list as sha256sum writes it. k3s's has the same images in other wrappings too, which nobody fetches here."""
    lines = [(file.sha256, file.name) for file in files]
    for _, name in list(lines):
        if name.endswith(".tar.zst"):
            stem = name.removesuffix(".zst")
            lines += [(_other(other), other) for other in (stem, f"{stem}.gz")]
    return "".join(f"{sha256}  {name}\n" for sha256, name in sorted(lines, key=lambda one: one[1])).encode()


def provenance(files: list[File]) -> bytes:
    """An in-toto statement as BuildKit's release has it: the exporter states all of its outputs, of all platforms."""
    stated = {file.name: file.sha256 for file in files}
    for name in list(stated):
        other = name.replace("amd64", "arm64")
        sbom = name.replace(".tar.gz", ".sbom.json")
        stated |= {other: _other(other), sbom: _other(sbom)}
    subject = [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in sorted(stated.items())]
    statement = {
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": "https://slsa.dev/provenance/v0.2",
        "subject": subject,
        "predicate": {"builder": {"id": ""}, "buildType": "https://mobyproject.org/buildkit@v1"},
    }
    return json.dumps(statement, indent=2).encode()


class Releases:
    """The roles of these hosts."""

    def __init__(self, goods: list[Good]) -> None:
        self.github = files_at(GITHUB, goods)
        self.helm = files_at(HELM, goods)
        self._assets = {file.asset: file for file in self.github.values()}
        self.roles: Mapping[str, Role] = {
            GITHUB: self._download,
            API: self._api,
            ASSETS: self._asset,
            HELM: self._helm,
        }

    def _download(self, asked: Asked) -> Reply:
        file = self.github.get(asked.path)
        return moved(302, f"https://{ASSETS}{file.asset}?{file.signed}") if file else text(404, "Not Found")

    def _asset(self, asked: Asked) -> Reply:
        file = self._assets.get(asked.path)
        if file is None:
            return text(404, "no such asset\n")
        return content(asked, file.content) if asked.query == file.signed else text(403, "not signed\n")

    def _helm(self, asked: Asked) -> Reply:
        file = self.helm.get(asked.path)
        return content(asked, file.content) if file else text(404, "no such file\n")

    def _api(self, asked: Asked) -> Reply:
        if "User-Agent" not in asked.headers:
            return text(403, "Request forbidden by administrative rules.\n")
        owner, _, rest = asked.path.removeprefix("/repos/").partition("/")
        repo, _, tag = rest.partition("/releases/tags/")
        under = f"/{owner}/{repo}/releases/download/{tag}/"
        found = [file for file in self.github.values() if file.path.startswith(under)]
        if not found:
            return _json(404, {"message": "Not Found", "status": "404"})
        return _json(200, {"tag_name": tag, "name": tag, "draft": False, "assets": list(map(_listed, found))})


def _listed(file: File) -> dict[str, object]:
    return {
        "name": file.name,
        "content_type": "application/octet-stream",
        "state": "uploaded",
        "size": file.size,
        "digest": f"sha256:{file.sha256}",
        "browser_download_url": f"https://{GITHUB}{quote(file.path)}",
    }


def _json(status: int, value: object) -> Reply:
    return Reply(
        status, {"Content-Type": "application/json; charset=utf-8"}, Held(json.dumps(value).encode())
    )


def _other(name: str) -> str:
    return hashlib.sha256(f"the rig has no {name}".encode()).hexdigest()
