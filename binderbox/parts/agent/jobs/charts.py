"""A chart that is followed: found in the allowed index, checked, placed; and which images it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import yaml

from binderbox.federation.following.follow import DEPENDENCY, place_allowed
from binderbox.parts.agent.jobs import files
from binderbox.parts.agent.jobs.running import helm
from binderbox.parts.agent.jobs.web import fetch
from binderbox.parts.helm.release import ReleaseInputs, secret_path

INDEX_MB = 64  # the federation's has some thousand entries
CHART_MB = 16
FETCH_S = 180
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 20 times as fast, where it is there


def find(index_url: str, places: tuple[str, ...], version: str, name: str = DEPENDENCY) -> tuple[str, str]:
    """(address, sha256) of a version in the index; raises ValueError when it is not there, or not below a place."""
    base = index_url.rstrip("/") + "/"
    index = yaml.load(fetch(f"{base}index.yaml", limit_mb=INDEX_MB, timeout_s=FETCH_S, places=places), Loader)
    try:
        (entry,) = (one for one in index["entries"][name] if one["version"] == version)
        url, digest = urljoin(base, entry["urls"][0]), str(entry["digest"]).removeprefix("sha256:")
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(f"{base}index.yaml has no single {name} {version} with a digest") from error
    if not place_allowed(url, places):
        raise ValueError(f"{base}index.yaml says that {name} {version} is at {url}, which is elsewhere")
    return url, digest


def bring(url: str, sha256: str, places: tuple[str, ...]) -> str:
    """Have the chart on the node and return its path."""
    path = files.artifact_path(url, sha256)
    if files.read(f"{path}.ok") is not None:
        return path
    return files.place_artifact(url, sha256, fetch(url, limit_mb=CHART_MB, timeout_s=FETCH_S, places=places))


def render(inputs: ReleaseInputs, values_file: str) -> list[Any]:
    """The objects that the chart makes of these values. They hold secrets: never written, never told."""
    words = [
        "template",
        inputs.release,
        inputs.chart,
        "--namespace",
        inputs.namespace,
    ]
    for path in (values_file, *inputs.values_files):
        words += ["--values", path]
    for path, name in sorted(inputs.secrets.items()):
        words += ["--set-file", f"{path}={secret_path(name)}"]
    return [one for one in yaml.load_all(helm(*words), Loader) if one]


def images_of(objects: list[Any]) -> dict[str, list[str]]:
    """Image to the names of the objects that run it."""
    found: dict[str, list[str]] = {}
    for one in objects:
        for image in _images(one):
            found.setdefault(image, []).append(f"{one['kind']}/{one['metadata']['name']}")
    return found


def _images(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key in ("containers", "initContainers") and isinstance(value, list):
                yield from (
                    one["image"]
                    for one in value
                    if isinstance(one, dict) and isinstance(one.get("image"), str)
                )
            yield from _images(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _images(value)
