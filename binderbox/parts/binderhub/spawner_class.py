"""The spawner that JupyterHub runs: its text."""

from __future__ import annotations

from importlib.resources import files

SNIPPET = "zz-binderbox-spawner-class"  # snippets run in the order of their names; the class before is the one to extend


def spawner_class() -> str:
    """Python text for the `hub.extraConfig` of JupyterHub's chart."""
    return (files("binderbox.parts.binderhub") / "spawner_class.py.txt").read_text(encoding="utf-8")
