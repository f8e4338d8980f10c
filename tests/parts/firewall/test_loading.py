"""The unit's ExecReload in a namespace, with nobody who writes the sets anew: what they hold stays."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from binderbox import layout
from binderbox.deploys.host import loader_tree
from binderbox.parts.firewall.rules import FirewallInputs, render_ruleset
from binderbox.parts.firewall.units import UNIT
from tests.netns import World, missing

HELD = """\
add element inet binderbox system_pods { 10.42.0.5, 10.42.0.7 }
add element inet binderbox binder_pods { 10.42.0.7 }
add element inet binderbox host_ports { 443 : 10.42.0.5 . 8443 }
add element inet binderbox groups { 10.42.0.6 : 0x00012345 }
add element inet binderbox step_sources { 10.44.0.5 . aa:bb:cc:dd:ee:ff }
"""
SETS = (
    "10.42.0.5, 10.42.0.7",
    "443 : 10.42.0.5 . 8443",
    "10.42.0.6 : 0x00012345",
    "10.44.0.5 . aa:bb:cc:dd:ee:ff",
)


class Node:
    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.rules, self.path = world, folder / "firewall.nft", folder / "loader"
        world.add("node")
        self.write()
        for path, text in loader_tree().items():  # alone, as the node has it
            place = self.path / path.removeprefix(f"{layout.LOADER}/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)

    def write(self, service_cidr: str = "10.43.0.0/16") -> None:
        inputs = FirewallInputs("10.42.0.0/16", service_cidr, "10.44.0.0/16", "10.43.0.10", ())
        self.rules.write_text(render_ruleset(inputs))

    def nft(self, *words: str, text: str | None = None) -> str:
        return str(self.world.run("node", "nft", *words, text=text))

    def reload(self) -> None:
        module = UNIT.partition("ExecReload=")[2].split(" -m ")[1].split()[0]
        words = ["env", f"PYTHONPATH={self.path}", sys.executable, "-SsBm", module, str(self.rules)]
        self.world.run("node", *words)

    def table(self) -> str:
        return self.nft("list", "table", "inet", "binderbox")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    if reason := missing("nft"):
        pytest.skip(reason)
    with World() as world:
        yield Node(world, tmp_path)


def test_new_rules_keep_what_the_sets_hold(node: Node) -> None:
    node.nft("-f", str(node.rules))
    node.nft("-f", "-", text=HELD)
    before = node.table()
    assert all(one in before for one in SETS)
    node.write("10.99.0.0/16")
    node.reload()
    after = node.table()
    assert "10.99.0.0/16" in after
    assert all(one in after for one in SETS)
    node.reload()
    assert node.table() == after


def test_where_there_is_no_table_the_rules_are_loaded(node: Node) -> None:
    node.reload()
    assert "chain postrouting" in node.table()


def test_a_table_of_another_release_is_replaced(node: Node) -> None:
    node.nft(
        "-f",
        "-",
        text="add table inet binderbox\nadd set inet binderbox system_pods { type ipv4_addr; }\n",
    )
    node.reload()
    assert "chain postrouting" in node.table()


def test_rules_that_are_wrong_leave_the_old_ones(node: Node) -> None:
    node.nft("-f", str(node.rules))
    node.nft("-f", "-", text=HELD)
    before = node.table()
    node.rules.write_text(
        "table inet binderbox\ndelete table inet binderbox\ntable inet binderbox { nonsense }\n"
    )
    with pytest.raises(Exception, match="nonsense"):
        node.reload()
    assert node.table() == before
