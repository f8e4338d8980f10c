"""What a publisher states of an artifact, read from its own words: bound to the exact name, never "it occurs somewhere".

Each reader takes what was answered and returns 64 hex digits, or raises Unstated with what was expected and what was
found. Forms as k3s, helm, BuildKit, GitHub, helm's chart index and registries have them.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from binderbox.artifacts.versions import SHA256, Pin

LIST_MB, INDEX_MB, MANIFEST_MB = 1, 64, 4
MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")
_RELEASE = re.compile(r"/([^/]+)/([^/]+)/releases/download/([^/]+)/([^/]+)")
# Texts alone: an index is full of times and versions, and one that YAML takes for a broken time would stop everything.
# The one in C is 20 times as fast, where it is there.
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class Unstated(ValueError):
    """The publisher's answer does not say what the artifact's checksum is; the text says what it says instead."""


def file_of(url: str) -> str:
    """The file that an address names."""
    return unquote(posixpath.basename(urlsplit(url).path))


def in_list(text: str, file: str) -> str:
    """Of a `sha256sum` list: the sum on the line of exactly this file."""
    lines = [found for line in text.splitlines() if (found := _LINE.fullmatch(line.strip()))]
    sums = {line[1].lower() for line in lines if line[2].removeprefix("./") == file}
    return _the_one(sums, file, f"a list of {len(lines)} files without one" if lines else _shown(text))


def in_provenance(text: str, file: str) -> str:
    """Of an in-toto statement: the digest of the subject with exactly this name."""
    subjects = _list_in(_json(text, "a provenance"), "subject", "a provenance")
    sums = {_text(one.get("digest"), "sha256") for one in subjects if one.get("name") == file}
    return _the_one(sums, file, f"a provenance of {len(subjects)} subjects without one")


def in_release(text: str, asset: str) -> str | None:
    """Of GitHub's answer about a release: its own digest of the asset; None for one from before there were any."""
    assets = _list_in(_json(text, "a release"), "assets", "a release")
    mine = [one for one in assets if one.get("name") == asset]
    if mine and not any(one.get("digest") for one in mine):
        return None
    sums = {str(one.get("digest")).removeprefix("sha256:") for one in mine}
    return _the_one(sums, asset, f"a release of {len(assets)} assets without one")


def in_chart_index(text: str, name: str, version: str) -> str:
    """Of helm's index.yaml: the digest of one version of one chart."""
    try:
        index = yaml.load(text, _Loader)
        entries = index["entries"][name]
        mine = [one for one in entries if one.get("version") == version]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise Unstated(f"expected a chart index with {name}, found {_shown(text)}") from error
    sums = {str(one.get("digest", "")).removeprefix("sha256:") for one in mine}
    return _the_one(sums, f"{name} {version}", f"an index with {len(entries)} of {name} without it")


def of_manifest(body: bytes, header: str | None) -> str:
    """Of a registry's answer: the sum of the manifest itself, which the registry's own header must name, too."""
    found = hashlib.sha256(body).hexdigest()
    kind = _json(body.decode(errors="replace"), "a manifest").get("schemaVersion")
    if kind != 2:
        raise Unstated(f"expected a manifest of schema 2, found {_shown(body.decode(errors='replace'))}")
    if header is not None and header != f"sha256:{found}":
        raise Unstated(f"the manifest's sum is sha256:{found}, Docker-Content-Digest says {header}")
    return found


def release_of(url: str) -> tuple[str, str] | None:
    """(address of GitHub's answer about the release, asset) for an address of a release's asset, else None."""
    parts = urlsplit(url)
    if parts.hostname != "github.com" or not (found := _RELEASE.fullmatch(parts.path)):
        return None
    owner, repository, tag, asset = found.groups()
    return f"https://api.github.com/repos/{owner}/{repository}/releases/tags/{tag}", unquote(asset)


def read(pin: Pin, text: str) -> str:
    """What the text at a file's or chart's `checksum_url` says of it."""
    if pin.kind == "chart":
        name = file_of(pin.source).removesuffix(f"-{pin.version}.tgz")
        return in_chart_index(text, name, pin.version)
    if file_of(pin.checksum_url or "").endswith(".provenance.json"):
        return in_provenance(text, file_of(pin.source))
    return in_list(text, file_of(pin.source))


def _the_one(sums: Iterable[str], what: str, found: str) -> str:
    stated = sorted(sums)
    if not stated:
        raise Unstated(f"expected a line for {what}, found {found}")
    if len(stated) > 1:
        raise Unstated(f"expected one sum for {what}, found {', '.join(stated)}")
    if not SHA256.fullmatch(stated[0]):
        raise Unstated(f"expected the sha256 of {what}, found {stated[0][:80]!r}")
    return stated[0]


def _json(text: str, what: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unstated(f"expected {what}, found {_shown(text)}") from error
    if not isinstance(found, dict):
        raise Unstated(f"expected {what}, found {_shown(text)}")
    return found


def _list_in(found: dict[str, Any], key: str, what: str) -> list[dict[str, Any]]:
    value = found.get(key)
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise Unstated(
            f"expected {what} with `{key}`, found one with {', '.join(sorted(found)) or 'nothing'}"
        )
    return value


def _text(table: Any, key: str) -> str:
    value = table.get(key) if isinstance(table, dict) else None
    return value.lower() if isinstance(value, str) else ""


def _shown(text: str) -> str:
    start = " ".join(text.split())
    if not start:
        return "an empty answer"
    kind = "HTML" if start[:15].lower().startswith(("<!doctype", "<html")) else "text"
    return f"{kind} that begins with {start[:60]!r}"
