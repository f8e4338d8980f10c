"""The rules on which the shape of the code stands: who may touch the world, and what stands alone on a node."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.places import ROOT

PACKAGE = ROOT / "binderbox"
DOORS_OUTSIDE = (
    "world",
    "parts/builder/engine",
    "parts/builder/door",
    "parts/agent/jobs",
    "parts/firewall/keeper.py",
    "launch/kernels.py",
    "launch/visitor.py",
    "launch/repository",
)
WORLDLY = {"pyinfra", "httpx", "kubernetes", "minio", "subprocess", "socket"}


def imported(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and absolute module name of every import, however deep it stands; relative ones start with a dot."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield node.lineno, base
            yield from (
                (node.lineno, f"{base.rstrip('.')}.{alias.name}") for alias in node.names if not node.level
            )
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "__import__",
            "importlib.import_module",
        ):
            name = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else "?"
            yield node.lineno, str(name)


def sources(*parts: str) -> list[Path]:
    return sorted((PACKAGE.joinpath(*parts)).rglob("*.py"))


def worldly(source: str) -> list[str]:
    return [f"{line}: {name}" for line, name in imported(source) if name.partition(".")[0] in WORLDLY]


def alone(source: str, also: tuple[str, ...] = ()) -> list[str]:
    allowed = {*sys.stdlib_module_names, *also, ""}
    return [f"{line}: {name}" for line, name in imported(source) if name.partition(".")[0] not in allowed]


PURE = [path for path in sources() if not str(path.relative_to(PACKAGE)).startswith(DOORS_OUTSIDE)]


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_doors_touch_the_world(path: Path) -> None:
    assert worldly(path.read_text()) == []


@pytest.mark.parametrize("path", sources("parts", "builder", "door"), ids=lambda path: path.name)
def test_the_door_needs_nothing_but_python(path: Path) -> None:
    assert alone(path.read_text()) == []


@pytest.mark.parametrize("path", sources("parts", "builder", "engine"), ids=lambda path: path.name)
def test_the_engine_needs_nothing_but_python_and_repo2docker(path: Path) -> None:
    assert alone(path.read_text(), ("repo2docker",)) == []


EVERYWHERE = [*sources(), *sorted((ROOT / "deploys").rglob("*.py"))]


@pytest.mark.parametrize("path", EVERYWHERE, ids=lambda path: str(path.relative_to(ROOT)))
def test_deploys_and_charts_are_imported_under_one_name(path: Path) -> None:
    bad = [name for _, name in imported(path.read_text()) if name.partition(".")[0] in ("deploys", "charts")]
    assert bad == []


def test_the_checks_above_find_what_they_look_for() -> None:
    assert worldly("def f():\n    from subprocess import run\n") == ["2: subprocess", "2: subprocess.run"]
    assert worldly("import importlib\nimportlib.import_module('httpx')") == ["2: httpx"]
    assert worldly("import socketserver, minion\nfrom . import socket") == []
    assert alone("import os.path\nfrom .x import y\nfrom binderbox import layout") == [
        "3: binderbox",
        "3: binderbox.layout",
    ]
    assert len(PURE) > 20
    assert sources("parts", "builder", "door")
    assert sources("parts", "builder", "engine")


CHARTS = sorted(path.parent for path in (ROOT / "charts").glob("*/Chart.yaml"))
# An address, a public host name, an image's digest or its tag: what differs from one host to the next.
PER_HOST = re.compile(
    r"(?P<address>\b(?!127\.0\.0\.1\b|0\.0\.0\.0\b)\d{1,3}(\.\d{1,3}){3}\b)"
    r"|(?P<digest>sha256:[0-9a-f]{8})"
    r"|(?P<image>\b(docker\.io|quay\.io|ghcr\.io|registry\.k8s\.io)/)"
    r"|(?P<path>/var/lib/binderbox|/etc/binderbox)"
    r"|(?P<name>\b[a-z0-9-]+\.(mybinder\.org|example\.(org|com)|binderbox\.test)\b)"
)


@pytest.mark.parametrize("chart", CHARTS, ids=lambda path: path.name)
def test_charts_hold_no_value_of_a_host(chart: Path) -> None:
    found = [
        f"{path.relative_to(chart)}:{number}: {match.group(0)}"
        for path in sorted(chart.rglob("*"))
        if path.is_file()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for match in PER_HOST.finditer(line)
    ]
    assert found == []


@pytest.mark.parametrize("chart", CHARTS, ids=lambda path: path.name)
def test_charts_have_no_image_of_their_own(chart: Path) -> None:
    values = yaml.safe_load((chart / "values.yaml").read_text()) or {}
    assert not values.get("image")


@pytest.mark.parametrize(
    "line",
    [
        "clusterIP: 10.43.0.50",
        "image: docker.io/x:1",
        "host: b.mybinder.org",
        "path: /var/lib/binderbox/objectstore",
    ],
)
def test_the_check_of_charts_bites(line: str) -> None:
    assert PER_HOST.search(line)
