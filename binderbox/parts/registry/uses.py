"""Which images were asked for, from the registry's access log. Pure, standard library only: it travels to the node.

BinderHub asks for an image's manifest before each launch, so its questions are the launches; a push puts it there. The log is
on the node's disk with a bound, and waits there for whoever reads it: see docs/decisions/registry-forgets.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# distribution's combined log (gorilla/handlers) in a line of containerd's
_ASKED = re.compile(
    r'"(?:GET|HEAD|PUT) /v2/(?P<name>[a-z0-9][a-z0-9._/-]*)/manifests/(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]*) HTTP/[\d.]+" (?:200|201) '
)


def used(lines: Iterable[str]) -> set[tuple[str, str]]:
    """(repository, tag) of each image that was there when somebody asked; questions by digest name no tag."""
    return {(found["name"], found["tag"]) for line in lines if (found := _ASKED.search(line))}
