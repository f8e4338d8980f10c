"""The build class that BinderHub runs: its text, and the lines by which a check knows whether it is in force."""

from __future__ import annotations

from importlib.resources import files

SNIPPET = "zz-binderbox-build-class"  # snippets run in the order of their names, and the proof must come last
PROOF = "binderbox: build class in force"
BROKEN = "Exception while loading config file"  # BinderHub's words when any snippet fails; it then goes on without all


def build_class() -> str:
    """Python text for the `extraConfig` of BinderHub's chart."""
    return (files("binderbox.parts.builder") / "build_class.py.txt").read_text(encoding="utf-8")


def in_force(log: str) -> bool:
    """Whether the binder pod's log says that the build class was read, and that nothing failed around it."""
    return PROOF in log and BROKEN not in log
