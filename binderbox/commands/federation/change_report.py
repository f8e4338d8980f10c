"""Written changes as text for people and as fields of a JSON result. Pure."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from binderbox.federation.deployrepo.texts import render_steps
from binderbox.federation.members.effect import render_effect
from binderbox.output.report.checks import render_checks
from binderbox.output.report.style import PLAIN, Style, columns, indented
from binderbox.output.results import CheckReport

if TYPE_CHECKING:
    from binderbox.commands.federation.joining import Joined
    from binderbox.commands.federation.writing import Edited


def edited_fields(edited: Edited) -> dict[str, Any]:
    """The result of weight, drain and leave."""
    fields = asdict(edited)
    told = fields.pop("effect")
    fields["members"] = told["members"]
    fields["notes"] = [*told["notes"], *edited.notes]
    fields["checklist"] = fields.pop("steps")
    return fields


def joined_fields(joined: Joined) -> dict[str, Any]:
    """The result of join; without a deployment repository there is no branch, no diff and no shares."""
    empty: dict[str, Any] = {
        "changed": False,
        "checkout": "",
        "branch": "",
        "commit": "",
        "files": [],
        "title": "",
    }
    empty |= {"body": "", "diff": "", "members": [], "notes": []}
    fields = empty if joined.edited is None else edited_fields(joined.edited)
    return fields | {
        "name": joined.member.name,
        "url": joined.member.url,
        "ready": joined.ready,
        "checks": [asdict(one) for one in joined.checks],
        "checklist": [asdict(one) for one in joined.steps],
        "handover": [asdict(one) for one in joined.handover],
        "guide": joined.guide,
        "post": joined.post,
    }


def render_edited(edited: Edited, style: Style = PLAIN) -> str:
    """The diff, its effect, what is left to do, and what was written."""
    open_steps = [step for step in edited.steps if not step.done]
    blocks = [
        edited.diff.rstrip("\n"),
        style.bold(edited.title) if edited.diff else "",
        render_effect(edited.effect),
        f"{style.bold('The pull request')}\n{indented(edited.body, '  ')}"
        if edited.diff and edited.body
        else "",
        render_steps(open_steps) if open_steps and not edited.diff else "",
        "\n".join(edited.notes),
        last_line(edited, style),
    ]
    return "\n\n".join(block for block in blocks if block)


def render_joined(joined: Joined, style: Style = PLAIN) -> str:
    """Everything that somebody has to read, paste or do, with the answer as the last line."""
    edited, blocks = joined.edited, []
    if edited is not None:
        blocks.append(edited.diff.rstrip("\n"))
        blocks.append(render_effect(edited.effect))
        words = indented("\n\n".join([edited.title, edited.body]), "  ")
        blocks.append(f"{style.bold('The pull request')}\n{words}")
        blocks += edited.notes
    else:
        blocks.append(f"{style.bold('What there is to do')}\n{indented(render_steps(joined.steps), '  ')}")
    told = [(one.command, one.purpose) for one in joined.handover]
    blocks.append(f"{style.bold('What operators of the federation hand over')} (by stdin)\n{columns(told)}")
    blocks.append(f"{style.bold('For the pages of the user guide')}\n{indented(joined.guide, '  ')}")
    blocks.append(
        f"{style.bold('To post, if you may not open a pull request')}\n{indented(joined.post, '  ')}"
    )
    failing = tuple(one for one in joined.checks if one.verdict in ("fail", "warn"))
    if failing:
        blocks.append(render_checks(CheckReport(joined.member.name, failing), style))
    if edited is not None:
        blocks.append(last_line(edited, style))
    state = {
        None: "nobody was asked whether it is ready",
        True: style.paint("ready", "pass"),
        False: f"{style.paint('not ready', 'fail')}: `binderbox federation check {joined.member.url}` does not pass",
    }[joined.ready]
    return "\n\n".join(block for block in [*blocks, f"{joined.member.name}: {state}"] if block)


def last_line(edited: Edited, style: Style) -> str:
    """Where the commit is, or why there is none."""
    if edited.commit:
        what = "one commit" if edited.changed else "already written"
        return (
            f"{what}: {edited.commit[:10]} on the branch {edited.branch} of {edited.checkout}\n"
            f"next: git -C {shlex.quote(edited.checkout)} push YOUR-FORK {edited.branch}"
        )
    if edited.diff:
        return "nothing was written"
    return f"{edited.name}: no change: all of it is there already" if edited.checkout else ""
