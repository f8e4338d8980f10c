"""A launch as people read it."""

from __future__ import annotations

from binderbox.output.report.style import PLAIN, Style, seconds
from binderbox.output.results import LaunchResult


def render_launch(launch: LaunchResult, style: Style = PLAIN) -> str:
    """How the image came about, seconds by step, and the notebook's address as the last line."""
    image = "built" if launch.built else ("pulled" if launch.pulled else "was there")
    steps = ", ".join(f"{name} {seconds(value)}" for name, value in launch.seconds)
    return "\n".join(
        [
            f"launched {launch.repository} at {launch.ref}",
            f"  image  {launch.image} ({image})",
            f"  times  {steps}",
            f"  {style.bold(launch.url)}",
        ]
    )
