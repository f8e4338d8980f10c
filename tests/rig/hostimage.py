"""The image of a rig host: a plain Debian or Ubuntu that boots systemd, with sshd, ready to be installed on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path

from tests.rig.cache import recipe_of
from tests.rig.engine import docker, ensure_engine, is_ours
from tests.rig.roots import CA_BUNDLE, EXTRA_CA_DIR, base_root, extended_root, extra_authorities

__all__ = ["base_root", "host_image"]
HOST_ROOT_S = 90
REGISTRY_TEST_IMAGE = "debian:12"
OFFICIAL = {"bookworm": "debian:12", "trixie": "debian:13", "noble": "ubuntu:24.04"}


@cache
def host_image(release: str = "bookworm") -> str:
    """Return the tag of a host image in the rig's engine, building it if the engine has none.

    Where a container registry can be reached it is made from the official image, else by debootstrap.
    """
    env = ensure_engine()
    if registry_reachable():
        return _from_official(OFFICIAL[release], env)
    root = extended_root("host-root", _setup(), release, HOST_ROOT_S)
    tag = f"binderbox-rig-{release}:{root.parent.name.removeprefix('host-root-')}"
    if not _present(tag, env):
        changes = ('CMD ["/sbin/init"]', "ENV container=docker", "LABEL binderbox.rig-image=host")
        options = [word for change in changes for word in ("--change", change)]
        docker("import", *options, str(root), tag, env=env)
        _forget_older(tag, env)
    return tag


@cache
def registry_reachable() -> bool:
    """Whether this machine's own engine can pull. Ours is started only where that is not to be expected."""
    env = ensure_engine()
    if is_ours(env):
        return False
    if _present(REGISTRY_TEST_IMAGE, env):
        return True
    try:
        command = ["docker", "pull", "--quiet", REGISTRY_TEST_IMAGE]
        done = subprocess.run(command, env=os.environ | env, capture_output=True, timeout=90, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _from_official(base: str, env: dict[str, str]) -> str:
    authorities = extra_authorities()
    context = {
        name: files("binderbox.world").joinpath("demo_host", name) for name in ("Dockerfile", "setup.sh")
    }
    recipe = recipe_of(base, *(part.read_bytes() for part in context.values()), *authorities)
    tag = f"binderbox-rig-{base.replace(':', '-')}:{hashlib.sha256(recipe).hexdigest()[:16]}"
    if _present(tag, env):
        return tag
    with tempfile.TemporaryDirectory() as directory:
        for name, part in context.items():
            (Path(directory) / name).write_bytes(part.read_bytes())
        docker("build", "--tag", tag, "--build-arg", f"BASE={base}", directory, env=env)
    if authorities:
        _add_authorities(tag, authorities, env)
    return tag


def _add_authorities(tag: str, authorities: tuple[Path, ...], env: dict[str, str]) -> None:
    pip = f"printf '[global]\\ncert = {CA_BUNDLE}\\n' > /etc/pip.conf"
    lines = [f"FROM {tag}", f"COPY *.crt {EXTRA_CA_DIR}/", f"RUN update-ca-certificates && {pip}"]
    with tempfile.TemporaryDirectory() as context:
        for authority in authorities:
            (Path(context) / authority.name).write_bytes(authority.read_bytes())
        (Path(context) / "Dockerfile").write_text("\n".join(lines))
        docker("build", "--tag", tag, context, env=env)


def _forget_older(tag: str, env: dict[str, str]) -> None:
    """Remove images of other recipes, except those that a host still runs from."""
    name = tag.partition(":")[0]
    for older in docker("images", "--format", "{{.Repository}}:{{.Tag}}", name, env=env).split():
        if older != tag:
            with contextlib.suppress(RuntimeError):
                docker("rmi", older, env=env)


def _present(tag: str, env: dict[str, str]) -> bool:
    return bool(docker("images", "--quiet", tag, env=env))


def _setup() -> str:
    return files("binderbox.world").joinpath("demo_host", "setup.sh").read_text()
