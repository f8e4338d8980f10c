"""The wheel alone, in an environment with nothing else of this checkout: it plans a whole member.

Builds the wheel from a copy of the checkout and installs it without dependencies into an empty environment; those it
finds in the environment that runs the tests, by a .pth file after its own directory, so nothing is downloaded.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.places import ROOT

PARTS = ("pyproject.toml", "README.md", "LICENSE", "binderbox", "deploys", "charts")

PLAN = """
import hashlib, json, sys
from pathlib import Path
import binderbox
from binderbox import plan
from binderbox.artifacts import resolve, versions
from binderbox.deploys import host
from binderbox.decide.facts import make_facts
from binderbox.member import model

facts = make_facts(json.loads(sys.argv[1]))
pins = versions.load()
lock = json.dumps({"schema": 1, "artifacts": [
    {"name": pin.name, "kind": pin.kind, "file": pin.name, "sha256": "a" * 64, "source": "here", "version": "1",
     "images": ["example.org/" + pin.name + ":1"] if pin.kind == "image" else []}
    for pin in pins.values()]})
digest = hashlib.sha256(lock.encode()).hexdigest()
found = resolve.resolve(pins, resolve.parse_lock(lock), digest, digest)
text = "domain: b.example.org\\ntls: own-ca\\nquota: 7\\n"
made = plan.make(model.parse(text, "member.yaml"), text, facts, found)
print(json.dumps({
    "package": str(Path(binderbox.__file__).parent),
    "deploys": str(Path(host.__file__).parent),
    "quota": [(one.value, one.origin) for one in made.values if one.key == "quota"],
    "firewall": made.host.firewall.count("chain "),
}))
"""

FACTS: dict[str, Any] = {
    "name": "host.example",
    "os_id": "debian",
    "os_version": "12",
    "arch": "x86_64",
    "kernel": "6.1",
    "cpus": 4,
    "ram_gb": 16.5,
    "swap_gb": 0.0,
    "disk_gb": 200.0,
    "disk_free_gb": 190.0,
    "fsync_ms": 1.0,
    "clock_offset_s": 0.0,
    "clock_synced": True,
    "cgroup_version": 2,
    "missing_modules": [],
    "missing_packages": [],
    "listeners": [],
    "outbound": [],
    "resolvers": ["198.51.100.53"],
    "address": "198.51.100.7",
    "interface": "eth0",
    "addresses": ["198.51.100.7"],
    "sudo": True,
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("source")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / part)
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(copy)]
    done = subprocess.run(build, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of the empty environment."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    interpreter = home / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(home), "platbase": str(home)}))
    install = [
        "-m",
        "pip",
        "--python",
        str(interpreter),
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run([sys.executable, *install], check=True, timeout=300)
    # A path line, unlike the one of an editable install, is not processed for further .pth files: only libraries.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return interpreter


def test_the_wheel_holds_every_file_of_the_checkout(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = set()
    for folder, inside in (
        ("binderbox", "binderbox"),
        ("deploys", "binderbox/deploys"),
        ("charts", "binderbox/charts"),
    ):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
                wanted.add(f"{inside}/{path.relative_to(ROOT / folder)}")
    assert sorted(wanted - held) == []
    assert not [name for name in held if name.startswith(("tests/", "deploys/", "charts/"))]


def test_it_plans_a_member(python: Path, tmp_path: Path) -> None:
    argv = [str(python), "-c", PLAN, json.dumps(FACTS)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert str(python.parent.parent) in seen["package"]
    assert seen["deploys"] == f"{seen['package']}/deploys"
    assert seen["quota"] == [[7, "config"]]
    assert seen["firewall"] == 20


def test_the_command_answers(python: Path, tmp_path: Path) -> None:
    argv = [str(python.parent / "binderbox"), "--version"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "0.1.0" in done.stdout
