"""What the Internet has to give: the rig's artifacts, each at the place from which versions.toml installs it.

Names and addresses are those that are shipped. Versions are what the rig calls its own; where that is the official one
(helm, BuildKit), the sum is another.
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from urllib.parse import quote

import tomli_w

from binderbox.artifacts import versions
from binderbox.artifacts.versions import Pin
from tests.rig import bundle, images
from tests.rig.cache import cached, recipe_of
from tests.rig.internet.stores import manifest_sha256

BINDER, HUB = "quay.io/jupyterhub/k8s-binderhub", "quay.io/jupyterhub/k8s-hub"


@dataclass(frozen=True)
class Good:
    """One artifact: what a pin of it says, and its file, which is an archive if it is an image.

    `sha256` is None for what versions.toml pins none for.
    """

    pin: Pin
    path: Path


def goods() -> list[Good]:
    shipped = versions.load()
    return [_good(entry, shipped[entry.name]) for entry in bundle.entries()]


def chart_images() -> tuple[str, str]:
    """BinderHub's image and the hub's, as the chart at the chart index names them."""
    tag = images.binder_double_name().rpartition(":")[2]
    return f"{BINDER}:{tag}", f"{HUB}:{tag}"


def images_by_name(found: list[Good]) -> dict[str, Path]:
    """Every image that a registry has, with its archive."""
    named: dict[str, Path] = {}
    for good in found:
        if good.pin.kind == "image":
            names = chart_images() if good.pin.bundle_only else (good.pin.source,)
            named |= dict.fromkeys(names, good.path)
    return named


def versions_text(found: list[Good], *, pinned: bool) -> str:
    """A versions.toml that installs these, with their sums or without any."""
    text = resources.files("binderbox.artifacts").joinpath("versions.toml").read_text("utf-8")
    tables = {"schema": 1, "follow": tomllib.loads(text)["follow"]}
    for good in found:
        left_out = ("name",) if pinned else ("name", "sha256")
        tables[good.pin.name] = {
            key: value for key, value in asdict(good.pin).items() if value and key not in left_out
        }
    return tomli_w.dumps(tables)


def _good(entry: bundle.Entry, pin: Pin) -> Good:
    path = _chart(entry.version) if pin.kind == "chart" else entry.path
    old, new = quote(pin.version, safe=""), quote(entry.version, safe="")
    found = replace(
        pin,
        version=entry.version,
        source=pin.source.replace(old, new),
        checksum_url=pin.checksum_url.replace(old, new) if pin.checksum_url else None,
        sha256=None,
    )
    if not pin.bundle_only:
        sha256 = manifest_sha256(path) if pin.kind == "image" else bundle.digest(path)
        found = replace(found, sha256=sha256)
    return Good(found, path)


def _chart(version: str) -> Path:
    """The double's chart with its images where the real one has its own."""
    packed = bundle.repacked_chart(version, *chart_images())

    def build(into: Path) -> None:
        (into / "binderhub.tgz").write_bytes(packed)

    return (
        cached("internet-chart", recipe_of(packed), build, 1, "the chart of the rig's Internet")
        / "binderhub.tgz"
    )
