"""What a release is installed from, and what all parts' values have in common.

Values hold no secret. `secret_values` says which secret of the node goes where: a helm path (`a.b[0]`) to the file's
name under /etc/binderbox/secrets, or to its path under /etc/binderbox when it has a slash. `values_files` are further
values, in files of the node that are root's alone. Requests are what the parts
were measured to use, because sizing counts them so; limits are the federation's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from binderbox.artifacts.resolve import Artifact

PRIORITY_CLASS = "binderbox-system"


@dataclass(frozen=True)
class ChartInputs:
    """One helm release: a chart of ours (`chart` names its directory) or, when `artifact` is given, an upstream one."""

    release: str
    namespace: str
    chart: str
    values: Mapping[str, Any]
    secret_values: Mapping[str, str] = field(default_factory=dict)
    values_files: tuple[str, ...] = ()
    timeout_s: int = 300
    images: tuple[Artifact, ...] = ()
    artifact: Artifact | None = None
    bundle: Path | None = None


def reference(image: Artifact) -> str:
    return image.images[0]


def resources(*, cpu: str, memory: str, cpu_limit: str, memory_limit: str) -> dict[str, dict[str, str]]:
    return {
        "requests": {"cpu": cpu, "memory": memory},
        "limits": {"cpu": cpu_limit, "memory": memory_limit},
    }
