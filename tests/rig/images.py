"""The container images of the rig, each an archive that containerd and docker import.

Their names say what they are: nothing here passes for the image of another project.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.rig import binaries
from tests.rig.cache import cached, recipe_of
from tests.rig.ociarchive import Image, Layer, compress, files_tar, load_layer, write_archive
from tests.rig.pythonroot import PATH, base_layer, venv_layer

HERE = Path(__file__).parent
DOUBLE = HERE / "double"
CRYPTNONO = HERE / "cryptnono" / "scripts"
USERS = 100  # Debian's group `users`, the one that the hub's user pods get
# The account of user servers, as JupyterHub and repo2docker expect it.
ADD_USER = f"useradd --create-home --uid 1000 --gid {USERS} --shell /bin/bash jovyan\n"


def reference(name: str, version: str) -> str:
    return f"rig.binderbox.test/{name}:{version}"


PAUSE = reference("pause", "1")
COREDNS = reference("coredns", binaries.COREDNS_VERSION)
OBJECTSTORE = reference("objectstore", binaries.MINIO_VERSION)
REGISTRY = reference("registry", binaries.REGISTRY_VERSION)
TRAEFIK = reference("traefik", binaries.TRAEFIK_VERSION)
REPO2DOCKER = reference("repo2docker", "2026.4.0")
SAMPLE_BASE = reference("sample-base", "1")
BUILD_BASE = reference("build-base", "1")


def binder_double_name() -> str:
    """Named by its sources, so that a node on which they changed gets new pods."""
    return reference("binder-double", hashlib.sha256(recipe_of(*_double_parts())).hexdigest()[:12])


def k3s_images() -> Path:
    """What every node needs: pause and CoreDNS, in one archive."""
    images = [
        Image(
            PAUSE,
            (_program_layer("pause", "/pause", _pause),),
            {"Entrypoint": ["/pause"], "User": "65535:65535"},
        ),
        Image(
            COREDNS, (_program_layer("coredns", "/coredns", binaries.coredns),), {"Entrypoint": ["/coredns"]}
        ),
    ]
    return _archive("k3s-images", images)


def objectstore() -> Path:
    layer = _program_layer("objectstore", "/usr/bin/minio", binaries.minio)
    return _archive("objectstore", [Image(OBJECTSTORE, (layer,), {"Entrypoint": ["/usr/bin/minio"]})])


def registry() -> Path:
    layer = _program_layer("registry", "/bin/registry", binaries.registry)
    settings = {"Entrypoint": ["/bin/registry"], "Cmd": ["serve", "/etc/distribution/config.yml"]}
    return _archive("registry", [Image(REGISTRY, (layer,), settings)])


def traefik() -> Path:
    layer = _program_layer("traefik", "/usr/local/bin/traefik", binaries.traefik)
    return _archive("traefik", [Image(TRAEFIK, (layer,), {"Entrypoint": ["/usr/local/bin/traefik"]})])


def repo2docker() -> Path:
    """repo2docker from PyPI; like the stock image it runs as root and executes its arguments."""
    return _archive("repo2docker", [repo2docker_image(REPO2DOCKER)])


def repo2docker_image(name: str) -> Image:
    layer = venv_layer("repo2docker", 60)
    settings = {
        "Env": [f"PATH={PATH}", "LANG=C.UTF-8"],
        "Entrypoint": ["/usr/bin/env", "--"],
        "WorkingDir": "/",
    }
    return Image(name, (base_layer(), layer), settings)


def build_base() -> Path:
    """In the place of what repo2docker builds on: Debian alone."""
    return _archive("build-base", [build_base_image()])


def build_base_image() -> Image:
    return Image(BUILD_BASE, (base_layer(),), {"Env": [f"PATH={PATH}"]})


def sample_base() -> Path:
    """What the sample repository is built from."""
    return _archive("sample-base", [sample_base_image(SAMPLE_BASE)])


def sample_base_image(name: str) -> Image:
    """JupyterLab for the user jovyan, under a name."""
    account = ("/etc/passwd", "/etc/shadow", "/etc/group", "/home/jovyan")
    layer = venv_layer("sample-base", 90, ADD_USER, paths=account)
    settings = {
        "Env": [f"PATH={PATH}", "LANG=C.UTF-8", "HOME=/home/jovyan", "NB_USER=jovyan", "NB_UID=1000"],
        "User": f"1000:{USERS}",
        "WorkingDir": "/home/jovyan",
        "Cmd": ["jupyter-lab", "--ip=0.0.0.0"],
    }
    return Image(name, (base_layer(), layer), settings)


def cryptnono_double_name() -> str:
    """Named by its sources."""
    return reference("cryptnono-double", hashlib.sha256(recipe_of(CRYPTNONO)).hexdigest()[:12])


def cryptnono_double() -> Path:
    """The double of cryptnono's detectors, and of what would fetch headers."""
    return _archive("cryptnono-images", [cryptnono_image(cryptnono_double_name())])


def cryptnono_image(name: str, *more: Layer) -> Image:
    """The double under a name; `more` are layers over it, for another version of it."""

    def build(into: Path) -> None:
        compress(files_tar({f"/scripts/{file.name}": file for file in sorted(CRYPTNONO.glob("*.py"))}), into)

    recipe = recipe_of(CRYPTNONO, "1")
    programs = load_layer(cached("layer-cryptnono", recipe, build, 1, "the double's detectors"))
    settings = {
        "Env": [f"PATH={PATH}", "PYTHONUNBUFFERED=1"],
        "Entrypoint": ["python3", "/scripts/start.py"],
    }
    return Image(name, (base_layer(), programs, *more), settings)


def binder_double() -> Path:
    """The double of BinderHub and its hub: root for the one, uid 1000 for the other, as in their charts."""
    return _archive("binderhub-images", [binder_double_image(binder_double_name())])


def binder_double_image(name: str, *more: Layer) -> Image:
    """The double under a name; `more` are layers over it, for another version of it."""
    layers = (base_layer(), venv_layer("binder-double", 80), _double_layer(), *more)
    settings = {
        "Env": [f"PATH={PATH}", "LANG=C.UTF-8", "PYTHONPATH=/srv/double", "PYTHONUNBUFFERED=1"],
        "WorkingDir": "/srv",
    }
    return Image(name, layers, settings)


def _double_sources() -> dict[str, Path]:
    return {f"/srv/double/{file.relative_to(DOUBLE)}": file for file in sorted(DOUBLE.glob("*/*.py"))}


def _double_parts() -> list[str | Path]:
    return [part for pair in _double_sources().items() for part in pair]


def _double_layer() -> Layer:
    def build(into: Path) -> None:
        compress(files_tar(_double_sources()), into)

    recipe = recipe_of(*_double_parts(), "1")
    return load_layer(cached("layer-double", recipe, build, 1, "the double's programs"))


def _pause() -> Path:
    source = HERE / "pause"

    def build(into: Path) -> None:
        command = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(into / "pause"), "."]
        subprocess.run(command, cwd=source, check=True, env=os.environ | {"CGO_ENABLED": "0"})

    return cached("pause", recipe_of(source, "1"), build, 10, "pause") / "pause"


def _program_layer(name: str, path: str, program: Callable[[], Path]) -> Layer:
    """One static program and nothing else."""
    file = program()

    def build(into: Path) -> None:
        compress(files_tar({path: file}), into)

    recipe = recipe_of(file.parent.name, file.name, path, "1")
    return load_layer(cached(f"layer-{name}", recipe, build, 5, f"the image {name}"))


def _archive(name: str, images: list[Image]) -> Path:
    def build(into: Path) -> None:
        write_archive(into / f"{name}.tar", images)

    parts = [
        f"{image.reference} {dict(image.settings)} {[layer.digest for layer in image.layers]}"
        for image in images
    ]
    recipe = recipe_of(*parts, HERE / "ociarchive.py", "1")
    return cached(f"image-{name}", recipe, build, 5, f"the archive of {name}") / f"{name}.tar"
