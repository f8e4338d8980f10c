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

# What each chart runs, as the real one has it: BinderHub's image, the hub's and the proxy's; cryptnono's two.
CHART_IMAGES = {
    "binderhub-chart": tuple(
        f"quay.io/jupyterhub/{name}" for name in ("k8s-binderhub", "k8s-hub", "configurable-http-proxy")
    ),
    "cryptnono-chart": tuple(f"quay.io/yuvipanda/{name}" for name in ("cryptnono", "fetch-kernel-headers")),
}


@dataclass(frozen=True)
class Good:
    """One artifact: what a pin of it says, and its file, which is an archive if it is an image.

    `sha256` is None for what versions.toml pins none for.
    """

    pin: Pin
    path: Path


def goods() -> list[Good]:
    """In the order of versions.toml, which is that of an install."""
    made = {entry.name: entry for entry in bundle.entries()}
    return [_good(made[name], pin) for name, pin in versions.load().items() if name in made]


def chart_images(chart: str = "binderhub-chart") -> tuple[str, ...]:
    """What the chart at the chart index runs."""
    ours = {"binderhub-chart": images.binder_double_name(), "cryptnono-chart": images.cryptnono_double_name()}
    tag = ours[chart].rpartition(":")[2]
    return tuple(f"{name}:{tag}" for name in CHART_IMAGES[chart])


def images_by_name(found: list[Good]) -> dict[str, Path]:
    """Every image that a registry has, with its archive."""
    named: dict[str, Path] = {}
    for good in found:
        if good.pin.kind == "image":
            names = chart_images(good.pin.images_of) if good.pin.images_of else (good.pin.source,)
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
    images_there = chart_images(good.pin.images_of)
    names = {name: name.rpartition("/")[2].partition(":")[0] for name in images_there}
    version = images_there[0].rpartition(":")[2]
    return [
        Pin(short, "image", version, name, sha256, of=good.pin.images_of) for name, short in names.items()
    ]


def _good(entry: bundle.Entry, pin: Pin) -> Good:
    path = _chart(entry.name, entry.version) if pin.kind == "chart" else entry.path
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


def _chart(name: str, version: str) -> Path:
    """The double's chart with its images where the real one has its own."""
    make = {"binderhub-chart": bundle.repacked_chart, "cryptnono-chart": bundle.cryptnono_chart}[name]
    packed = make(version, *chart_images(name))
    chart = name.removesuffix("-chart")

    def build(into: Path) -> None:
        (into / f"{chart}.tgz").write_bytes(packed)

    found = cached(f"internet-{name}", recipe_of(packed), build, 1, f"{chart}'s chart on the rig's Internet")
    return found / f"{chart}.tgz"
