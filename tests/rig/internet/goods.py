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

# BinderHub's image, the hub's and the proxy's, as the real chart has them
CHART_IMAGES = tuple(
    f"quay.io/jupyterhub/{name}" for name in ("k8s-binderhub", "k8s-hub", "configurable-http-proxy")
)


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


def chart_images() -> tuple[str, ...]:
    """What the chart at the chart index runs."""
    tag = images.binder_double_name().rpartition(":")[2]
    return tuple(f"{name}:{tag}" for name in CHART_IMAGES)


def images_by_name(found: list[Good]) -> dict[str, Path]:
    """Every image that a registry has, with its archive."""
    named: dict[str, Path] = {}
    for good in found:
        if good.pin.kind == "image":
            names = chart_images() if good.pin.images_of else (good.pin.source,)
            named |= dict.fromkeys(names, good.path)
    return named


def versions_text(found: list[Good], *, pinned: bool) -> str:
    """A versions.toml that installs these, with their sums or without any."""
    text = resources.files("binderbox.artifacts").joinpath("versions.toml").read_text("utf-8")
    tables = {"schema": 1, "follow": tomllib.loads(text)["follow"]}
    for good in found:
        left_out = ("name",) if pinned else ("name", "sha256")
        for pin in _of_chart(good) if pinned and good.pin.images_of else [good.pin]:
            table = asdict(pin) | {"features": list(pin.features)}
            tables[pin.name] = {key: value for key, value in table.items() if value and key not in left_out}
    return tomli_w.dumps(tables)


def _of_chart(good: Good) -> list[Pin]:
    """Each image of a chart with its own sum, as a site pins them that lets nobody state anything."""
    sha256 = manifest_sha256(good.path)
    names = {name: name.rpartition("/")[2].partition(":")[0] for name in chart_images()}
    version = chart_images()[0].rpartition(":")[2]
    return [
        Pin(short, "image", version, name, sha256, of=good.pin.images_of) for name, short in names.items()
    ]


def _good(entry: bundle.Entry, pin: Pin) -> Good:
    path = _chart(entry.version) if pin.kind == "chart" else entry.path
    old, new = quote(pin.version, safe=""), quote(entry.version, safe="")
    found = replace(
        pin,
        version=entry.version,
        source=pin.source.replace(old, new),
        checksum_url=pin.checksum_url.replace(old, new) if pin.checksum_url else None,
        sha256=None,
        features=entry.features,
    )
    if not pin.images_of:
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
