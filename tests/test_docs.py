"""The generated pages are what the program would write now, and what users meet leads into them."""

from __future__ import annotations

import re

import pytest

from binderbox.cli import COMMANDS
from binderbox.parts.checks import every
from tests.tools.docs import PAGES, ROOT


@pytest.mark.parametrize("page", PAGES)
def test_a_generated_page_is_current(page: str) -> None:
    assert (ROOT / page).read_text(encoding="utf-8") == PAGES[page](), "run `make docs`"


def test_every_check_has_an_anchor() -> None:
    anchors = re.findall(r"^### (BBX-\w+)$", (ROOT / "docs/checks.md").read_text(encoding="utf-8"), re.M)
    assert anchors == [check.id for check in every()]


def test_every_command_has_a_section_with_an_example() -> None:
    text = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        section = text.partition(f"\n## binderbox {name}\n")[2].partition("\n## ")[0]
        assert (
            re.search(rf"^  binderbox {name} ", section, re.M)
            or f"binderbox {name} [OPTIONS] COMMAND" in section
        ), name


def test_the_readme_names_only_commands_and_make_targets_that_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert set(re.findall(r"`?make ([a-z-]+)", text)) <= set(targets)
    assert set(re.findall(r"^binderbox ([a-z]+) (?:host|demo)", text, re.M)) <= set(COMMANDS)
