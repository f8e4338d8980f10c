"""Its tables are there whatever other programs do to theirs, and follow their files and the cgroup they are for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from binderbox import layout
from binderbox.deploys.host import backstop_tree
from binderbox.parts.firewall.backstop_rules import BACKSTOP, owned, render_backstop
from binderbox.parts.firewall.rules import FirewallInputs
from binderbox.parts.firewall.units import BACKSTOP_UNIT_TEXT
from tests.netns import World, missing
from tests.waiting import wait_until

INPUTS = FirewallInputs("10.42.0.0/16", "10.43.0.0/16", "10.44.0.0/16", "10.43.0.10", ())
ANOTHER = owned(
    "another", "    chain output {\n        type filter hook output priority 0; policy accept;\n    }"
)


@dataclass
class Owned:
    world: World
    folder: Path
    program: subprocess.Popen[str]

    def nft(self, *words: str) -> str:
        return self.world.run("node", "nft", *words)

    def refused(self, *words: str) -> str:
        with pytest.raises(AssertionError) as refusal:
            self.nft(*words)
        return str(refusal.value)

    @property
    def cgroup(self) -> Path:
        return self.folder / "cgroup"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Owned]:
    if reason := missing("nft"):
        pytest.skip(reason)
    for path, text in backstop_tree().items():  # alone, as the node has it
        place = tmp_path / "lib" / path.removeprefix(f"{layout.KEEPER}/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    (tmp_path / "backstop.nft").write_text(render_backstop(INPUTS))
    (tmp_path / "another.nft").write_text(ANOTHER)
    (tmp_path / "told").mkdir()
    words = ["--table", tmp_path / "backstop.nft", "--told", tmp_path / "told"]
    words += ["--for-cgroup", tmp_path / "cgroup", tmp_path / "another.nft"]
    with World() as world:
        world.add("node")
        program = subprocess.Popen(
            ["ip", "netns", "exec", world.full("node"), sys.executable, "-sB", "-m", "binderbox.parts.firewall.backstop", *words],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "lib")},
        )  # fmt: skip
        world.listeners.append(program)
        made = Owned(world, tmp_path, program)
        assert program.stdout is not None
        assert program.stdout.readline().endswith("backstop.nft: loaded\n")
        yield made


def test_nobody_else_takes_it_away(own: Owned) -> None:
    before = own.nft("list", "table", "inet", BACKSTOP)
    own.nft("flush", "ruleset")
    assert "not permitted" in own.refused("delete", "table", "inet", BACKSTOP)
    assert "not permitted" in own.refused("flush", "table", "inet", BACKSTOP)
    assert own.nft("list", "table", "inet", BACKSTOP) == before


def test_it_goes_when_its_owner_ends(own: Owned) -> None:
    own.program.kill()
    own.program.wait()
    assert own.nft("list", "tables") == ""


def test_new_rules_in_its_file_are_loaded(own: Owned) -> None:
    changed = render_backstop(INPUTS).replace("10.43.0.0/16", "10.45.0.0/16")
    (own.folder / "backstop.nft").write_text(changed)
    wait_until(lambda: "10.45.0.0/16" in own.nft("list", "table", "inet", BACKSTOP), 10, "the new rules")


def test_a_file_that_nft_refuses_leaves_what_was_loaded_and_is_told_once(own: Owned) -> None:
    before = own.nft("list", "table", "inet", BACKSTOP)
    (own.folder / "backstop.nft").write_text("table inet nonsense {")
    assert own.program.stdout is not None
    assert "backstop.nft: " in own.program.stdout.readline()
    (own.folder / "cgroup").mkdir()  # loaded after it, so nothing else was said meanwhile
    said = [own.program.stdout.readline()]
    while "another.nft: loaded" not in said[-1]:
        said.append(own.program.stdout.readline())
    assert not any("backstop.nft" in line for line in said)
    assert own.nft("list", "table", "inet", BACKSTOP) == before


def test_rules_for_a_cgroup_come_with_it_and_are_told(own: Owned) -> None:
    assert "another" not in own.nft("list", "tables")
    told = own.folder / "told" / "another"
    for _ in range(2):
        own.cgroup.mkdir()
        inode = f"{own.cgroup.stat().st_ino}\n"
        wait_until(lambda want=inode: told.exists() and told.read_text() == want, 10, "the cgroup's inode")
        assert "table inet another" in own.nft("list", "tables")
        own.cgroup.rename(own.folder / f"gone-{inode.strip()}")  # so that the next one is another


def test_the_unit_runs_the_program_where_it_is_put_before_k3s() -> None:
    assert "-m binderbox.parts.firewall.backstop " in BACKSTOP_UNIT_TEXT
    assert f"{layout.KEEPER}/binderbox/parts/firewall/backstop.py" in backstop_tree()
    before = next(line for line in BACKSTOP_UNIT_TEXT.splitlines() if line.startswith("Before="))
    assert {layout.K3S_UNIT, layout.BUILDKITD_UNIT, layout.FIREWALL_UNIT} <= set(before.split())
