"""The agent as the node has it: a directory of modules that stands alone with Python and PyYAML."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from binderbox import layout
from binderbox.artifacts import followable
from binderbox.deploys.agent import agent_tree
from binderbox.member.model import Follow, Member
from binderbox.parts.agent.jobs.config import AgentConfig, ConfigFault, parse_config
from binderbox.parts.agent.units import JOBS, make_inputs, render_service, render_timer
from tests.charts.rendering import disk as disk_of
from tests.checks.fakes import GOOD as FACTS

ALLOWED = followable.load()
DISK = disk_of(Member(domain="binder.example.org"))
# No site-packages: what the node's Python has, and PyYAML beside it.
LOADED = "import sys, binderbox.parts.agent.jobs.__main__; print('\\n'.join(sorted(sys.modules)))"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("agent")
    for path, text in agent_tree().items():
        file = root / Path(path).relative_to(layout.AGENT)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (root / "yaml").symlink_to(Path(yaml.__file__).parent)
    return root


def test_it_needs_nothing_but_python_and_yaml(tree: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-B", "-c", f"import sys; sys.path.insert(0, {str(tree)!r}); {LOADED}"],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    tops = {name.partition(".")[0] for name in done.stdout.split()}
    strangers = tops - set(sys.stdlib_module_names) - {"binderbox", "yaml", "_yaml"}
    assert {name for name in strangers if not name.startswith("_")} <= {"cython_runtime"}


def test_the_sample_travels_along(tree: Path) -> None:
    assert (tree / "sample" / "Dockerfile").read_text().startswith("ARG BASE\n")


def test_its_config_is_read_as_it_was_written() -> None:
    member = Member(
        domain="binder.example.org", follow=Follow(window="02:00-06:00", image_sources=("10.1.2.3:5000/x",))
    )
    config = parse_config(make_inputs(member, FACTS, ALLOWED, "example/base:1", disk=DISK).config)
    assert config.federation == "https://mybinder.org"
    assert config.rules.window == "02:00-06:00"
    assert set(config.rules.image_sources) == {*ALLOWED.image_sources, "10.1.2.3:5000/x"}
    assert (config.binder_url, config.address, config.ca_file) == (
        "https://binder.example.org",
        FACTS.address,
        "",
    )
    assert config.enabled


def test_a_members_own_places_win() -> None:
    follow = Follow(federation="https://staging.example.org", branch="staging", enabled=False)
    config = parse_config(
        make_inputs(Member(domain="a.example.org", follow=follow), FACTS, ALLOWED, "b:1", disk=DISK).config
    )
    assert (config.federation, config.branch, config.enabled) == (
        "https://staging.example.org",
        "staging",
        False,
    )
    assert config.chart_index == ALLOWED.chart_index


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"federation": 1}'])
def test_another_config_is_refused(text: str) -> None:
    with pytest.raises(ConfigFault):
        parse_config(text)


def test_unknown_keys_are_refused() -> None:
    text = make_inputs(Member(domain="a.example.org"), FACTS, ALLOWED, "b:1", disk=DISK).config
    assert isinstance(parse_config(text), AgentConfig)
    with pytest.raises(ConfigFault, match="surprise"):
        parse_config(text.replace('"window"', '"surprise": 1, "window"'))


def test_the_units_are_what_systemd_understands(tmp_path: Path) -> None:
    for job in JOBS:
        (tmp_path / job.service).write_text(render_service(job))
        (tmp_path / job.timer).write_text(render_timer(job))
    try:
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / job.timer) for job in JOBS)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("this machine has no systemd-analyze")
    assert "binderbox-" not in done.stderr, done.stderr
