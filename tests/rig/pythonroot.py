"""Image layers with Python programs: a small Debian below, and a virtual environment made inside it above."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.rig.cache import cached, recipe_of
from tests.rig.ociarchive import Layer, compress, load_layer
from tests.rig.roots import base_root, run, run_inside

REQUIREMENTS = Path(__file__).parent / "requirements"
VENV = "opt/venv"
PATH = "/opt/venv/bin:/usr/local/bin:/usr/bin:/bin"
# The machine's own pip may look in directories that are not in this root.
# Compiled files that do not remember when their source was written: the layer's times are all the same.
INSTALL = """
set -e
unset PIP_FIND_LINKS
python3 -m venv /opt/venv
/opt/venv/bin/pip install --quiet --no-compile --no-cache-dir -r /tmp/requirements.txt
/opt/venv/bin/python3 -m compileall -q -f -j 0 --invalidation-mode unchecked-hash /opt/venv > /dev/null || true
"""


def base_layer() -> Layer:
    """The Debian that all Python images share."""
    root = base_root()

    def build(into: Path) -> None:
        with root.open("rb") as tar:
            compress(tar, into)

    return load_layer(
        cached("layer-base", recipe_of(root.parent.name, "1"), build, 15, "the base layer of images")
    )


def venv_layer(name: str, usually_s: int, script: str = "", paths: tuple[str, ...] = ()) -> Layer:
    """What `requirements/NAME.txt` installs, and what the script changes on top of it.

    + paths: where the script leaves something, besides /opt/venv
    """
    base = base_root()
    requirements = REQUIREMENTS / f"{name}.txt"
    kept = sorted({VENV, *(path.lstrip("/") for path in paths)})

    def build(into: Path) -> None:
        with tempfile.TemporaryDirectory(dir=into) as scratch:
            root = Path(scratch) / "root"
            root.mkdir()
            run("tar", "--extract", "--file", base, "--directory", root)
            shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
            shutil.copy(requirements, root / "tmp/requirements.txt")
            run_inside(root, INSTALL + script)
            _pack(root, kept, into)

    recipe = recipe_of(base.parent.name, requirements, INSTALL, script, *kept, "1")
    return load_layer(cached(f"layer-{name}", recipe, build, usually_s, f"the image {name}"))


def _pack(root: Path, kept: list[str], into: Path) -> None:
    command = [
        "tar",
        "--create",
        "--sort=name",
        "--mtime=@0",
        "--numeric-owner",
        "--directory",
        str(root),
        *kept,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"LC_ALL": "C"}) as tar:
        assert tar.stdout is not None
        compress(tar.stdout, into)
    if tar.returncode != 0:
        raise RuntimeError(f"tar of {', '.join(kept)} failed with exit code {tar.returncode}")
