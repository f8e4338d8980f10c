"""Which images were asked for, from the registry's access log. Pure, standard library only: it travels to the node.

BinderHub asks for an image's manifest before each launch, so its questions are the launches; a push puts it there. The log is
on the node's disk with a bound, and waits there for whoever reads it: see docs/decisions/registry-forgets.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# distribution's combined log (gorilla/handlers) in a line of containerd's
_ASKED = re.compile(
    r'"(?:GET|HEAD|PUT) /v2/(?P<name>[a-z0-9][a-z0-9._/-]*)/manifests/(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]*) HTTP/[\d.]+" (?P<status>200|201|404) '
    r'\d+ "[^"]*" "(?P<agent>[^"]*)"'
)
CONTAINERD = "containerd/"  # it asks, too, before it pushes


@dataclass(frozen=True)
class Asked:
    """(repository, tag) of each image that was there when somebody asked; how often BinderHub's question was met, and not."""

    used: frozenset[tuple[str, str]]
    hits: int
    misses: int


def asked(lines: Iterable[str]) -> Asked:
    """Questions by digest name no tag, and are none of these."""
    found = [one for line in lines if (one := _ASKED.search(line))]
    by_binderhub = [one["status"] for one in found if not one["agent"].startswith(CONTAINERD)]
    return Asked(
        frozenset((one["name"], one["tag"]) for one in found if one["status"] != "404"),
        by_binderhub.count("200"),
        by_binderhub.count("404"),
    )
