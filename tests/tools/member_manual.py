"""docs/member.md from member/example.yaml and the model, so that the page cannot fall behind either."""

from __future__ import annotations

from importlib import resources

from binderbox.member.model import DiskOverrides, Follow, Member

_HEAD = """\
# The config of a member

`binderbox init HOST` writes a short one, `binderbox install HOST --config FILE` applies it. The host keeps what was
applied in `/etc/binderbox/member.yaml`; `install` without a file uses that. Every fault of a file is told at once,
with its line, and nothing is changed on the host before it has none.

This page is made from `binderbox/member/example.yaml`; a test compares the two.
"""


def render_manual() -> str:
    """Render the page."""
    rows = ["| key | expected | default |", "|---|---|---|"]
    for name, field in Member.model_fields.items():
        if name == "follow":
            rows += [
                f"| `follow.{inner}` | {described.description} | {_follow_default(inner)} |"
                for inner, described in Follow.model_fields.items()
            ]
            continue
        if name == "disk":
            rows += [
                f"| `disk.{inner}` | {described.description} | computed |"
                for inner, described in DiskOverrides.model_fields.items()
            ]
            continue
        rows.append(f"| `{name}` | {field.description} | {_default(name)} |")
    example = resources.files("binderbox.member").joinpath("example.yaml").read_text("utf-8")
    return "\n".join([_HEAD, *rows, "", "## Every key explained", "", "```yaml", example.rstrip(), "```", ""])


def _follow_default(name: str) -> str:
    default = Follow.model_fields[name].default
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return "none" if default == () or name == "window" else "mybinder.org's"


def _default(name: str) -> str:
    field = Member.model_fields[name]
    if field.is_required():
        return "must be given"
    if field.default is None:
        return "none" if name in ("email", "abuse_contact", "ingress_ip") else "computed"
    if field.default == () or name == "proxy":
        return "none"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return f"`{field.default}`"
