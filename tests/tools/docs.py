"""Writes the generated pages from the program itself: `make docs`. A test holds that they are current.

docs/cli.md and docs/checks.md whole; of docs/federation.md what is between the marks.
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from binderbox.cli import COMMANDS, cli
from binderbox.parts.checks import CATEGORIES, of
from tests.places import ROOT
from tests.tools import weights_table

WEIGHTS_BEGIN, WEIGHTS_END = "<!-- weights: made by `make docs` -->", "<!-- end of weights -->"
WIDTH = 100  # characters; wide enough that a row of --help stays one


def render_cli() -> str:
    """Every command with the help that it prints itself."""
    blocks = ["# Commands", "Made by `make docs` from the program; each block is what `--help` prints."]
    for path, command in _walk():
        context = click.Context(
            command,
            info_name=path,
            max_content_width=WIDTH,
            terminal_width=WIDTH,
            help_option_names=["-h", "--help"],
        )
        blocks.append(f"## {path}\n\n```\n{command.get_help(context)}\n```")
    return "\n\n".join(blocks) + "\n"


def render_checks() -> str:
    """Every check by category, each with an anchor of its own: docs/checks.md#bbx-h01."""
    blocks = [
        "# Checks",
        "Made by `make docs` from the program. `binderbox check HOST` runs all that apply, and shows for each what was "
        "measured; for one that does not hold also what is needed, and a fix to paste. A check marked *warns* never "
        "fails a run.",
    ]
    for category, (_, purpose) in CATEGORIES.items():
        blocks.append(f"## {category}\n\n{purpose}")
        for check in of(category):
            claim = check.claim[0].upper() + check.claim[1:]
            mark = "" if check.fatal else " *Warns.*"
            blocks.append(f"### {check.id}\n\n{claim}. {check.hint}{mark}")
    return "\n\n".join(blocks) + "\n"


def render_federation() -> str:
    """The page as it is, with its table of weights made anew."""
    page = (ROOT / "docs/federation.md").read_text(encoding="utf-8")
    before, _, rest = page.partition(WEIGHTS_BEGIN)
    _, _, after = rest.partition(WEIGHTS_END)
    return f"{before}{WEIGHTS_BEGIN}\n{weights_table.render()}{WEIGHTS_END}{after}"


PAGES = {"docs/cli.md": render_cli, "docs/checks.md": render_checks, "docs/federation.md": render_federation}


def _walk() -> Iterator[tuple[str, click.Command]]:
    yield "binderbox", cli
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield f"binderbox {name}", command
        if isinstance(command, click.Group):
            for inner in command.list_commands(context):
                found = command.get_command(context, inner)
                assert found is not None
                yield f"binderbox {name} {inner}", found


if __name__ == "__main__":
    for name, render in PAGES.items():
        (ROOT / name).write_text(render(), encoding="utf-8")
        print(f"wrote {name}")
