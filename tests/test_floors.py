"""The floors of the code: CONTRIBUTING.md has the table, and this holds every import to it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping

import pytest

from tests.places import ROOT

OUTSIDE = ("pyinfra", "paramiko", "httpx", "httpx_sse", "websockets", "minio", "urllib3", "dns", "kubernetes")
OUTSIDE += ("subprocess", "socket", "urllib.request", "http.client", "asyncio", "requests")
ROW = re.compile(
    r"^\| (?P<first>[^|]*?) \| (?P<second>[^|]*?) \| (?P<third>[^|]*?) \| (?P<last>[^|]*?) ?\|$", re.M
)
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
FLOORS = {
    row["second"].strip("`/"): (int(row["first"]), row["last"] == "yes")
    for row in ROW.finditer(PAGE)
    if row["first"].isdigit()
}
ON_NODE = {
    found[1].strip("/").replace("/", "."): found[2]
    for found in re.finditer(r"^\| `(parts/[^`]+)` \| [^|]+ \| ([\w ]*?) ?\|$", PAGE, re.M)
}
# What of the floors below them the doors may know: plain data, and the protocol of checks.
DATA = (
    "layout",
    "errors",
    "patience",
    "output",
    "decide.certificates",
    "decide.facts",
    "member.model",
    "checks.probe",
    "artifacts.resolve",
)
DATA += ("federation.members.observed",)


def modules() -> dict[str, str]:
    """Every module by its name below binderbox, with its source; the sample repository is content, not program."""
    files = [*(ROOT / "binderbox").rglob("*.py"), *(ROOT / "deploys").rglob("*.py")]
    names = {path: path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for path in files}
    return {
        name.removeprefix("binderbox.").removesuffix(".__init__"): path.read_text()
        for path, name in names.items()
        if "launch.repository" not in name and name != "binderbox.__init__"
    }


def imported(name: str, source: str, known: Mapping[str, str]) -> Iterator[str]:
    """Names that a module imports, ours without `binderbox.`; a text that is a module's name counts, it is for import_module."""
    folder = name.split(".")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.removeprefix("binderbox.") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(folder[: len(folder) - node.level]) if node.level else ""
            base = ".".join(filter(None, (above, node.module or ""))).removeprefix("binderbox").strip(".")
            full = [f"{base}.{alias.name}".strip(".") for alias in node.names]
            yield from (one if one in known or base not in known else base for one in full)
        elif isinstance(node, ast.Constant) and str(node.value).startswith("binderbox."):
            text = str(node.value).removeprefix("binderbox.")
            yield from [text] if text in known else []


def inside(name: str, rooms: Iterator[str] | tuple[str, ...]) -> str:
    return next((room for room in rooms if name == room or name.startswith(f"{room}.")), "")


def faults(known: Mapping[str, str]) -> list[str]:
    """Everything in which these modules differ from the table."""
    found, between = [], set()
    for name, source in known.items():
        room, alone = inside(name, tuple(FLOORS)), inside(name, tuple(ON_NODE))
        if not room:
            found.append(f"{name} is in no room")
            continue
        floor, is_open = FLOORS[room]
        for other in imported(name, source, known):
            there = inside(other, tuple(FLOORS))
            if there and FLOORS[there][0] < floor:
                found.append(f"{name} imports {other}, which is upstairs")
            elif there and there != room and FLOORS[there][0] == floor:
                between.add((room, there))
            elif inside(other, OUTSIDE) and not is_open and not alone:
                found.append(f"{name} imports {other} away from its door")
            if (
                alone
                and not there
                and other.partition(".")[0] not in {*sys.stdlib_module_names, ON_NODE[alone]}
            ):
                found.append(f"{name} imports {other}, which is not on the node")
            if room == "world" and there and there != "world" and not inside(other, DATA):
                found.append(f"{name} imports {other}, which is no plain data")
    return found + [
        f"{one} and {other} import each other"
        for one, other in between
        if (other, one) in between and one < other
    ]


def test_every_import_runs_down() -> None:
    assert faults(modules()) == []
    assert sorted({floor for floor, _ in FLOORS.values()}) == list(range(1, 9))
    assert set(ON_NODE) <= {".".join(name.split(".")[:depth]) for name in modules() for depth in range(1, 5)}


@pytest.mark.parametrize(
    ("name", "source", "says"),
    [
        ("decide.mutant", "from binderbox.plan import make", "decide.mutant imports plan, which is upstairs"),
        ("parts.k3s.mutant", "def f():\n    import binderbox.commands.phases", "imports commands.phases, which is upstairs"),
        ("parts.mutant", "X = 'binderbox.cli.install'", "imports cli.install, which is upstairs"),
        ("mutant", "", "mutant is in no room"),
        ("commands.mutant", "import subprocess", "imports subprocess away from its door"),
        ("launch.mutant", "from httpx import Client", "imports httpx.Client away from its door"),
        ("parts.k3s.mutant", "import urllib.request", "imports urllib.request away from its door"),
        ("parts.builder.door.mutant", "import yaml", "imports yaml, which is not on the node"),
        ("parts.agent.jobs.mutant", "import httpx", "imports httpx, which is not on the node"),
        ("parts.builder.door.mutant", "from ....world import cluster", "imports world.cluster, which is upstairs"),
        ("world.mutant", "from binderbox.launch.stream import Launch", "which is no plain data"),
        ("checks.mutant", "from binderbox.federation.members import look", "checks and federation import each other"),
    ],
)  # fmt: skip
def test_a_mutant_of_each_kind_is_found(name: str, source: str, says: str) -> None:
    assert [fault for fault in faults(modules() | {name: source}) if says in fault]


def test_deploys_and_charts_are_imported_under_one_name() -> None:
    """As `binderbox.deploys` and `binderbox.charts`, so that a wheel and a checkout are alike."""
    sources = modules()
    found = [
        (name, node.lineno)
        for name, source in sources.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").partition(".")[0] in ("deploys", "charts")
        and not node.level
    ]
    assert found == []


def test_every_path_that_a_page_names_is_there() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tests/**/*.md")]
    named = r"`((?:binderbox|deploys|charts|tests|docs)/[\w./-]+)`"
    paths = {path for page in pages for path in re.findall(named, page.read_text())}
    assert len(paths) > 60
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []
    short = re.findall(r"`((?:door|engine)/\w+\.py)`", PAGE)
    assert [path for path in short if not (ROOT / "binderbox/parts/builder" / path).exists()] == []
