"""Every check, by category, in the order in which a host is made: what must hold before, and what proves each phase."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from binderbox.checks.core import Check

CATEGORIES = {
    "host": ("binderbox.checks.host", "Whether the host is fit; asked before anything changes."),
    "dns": ("binderbox.checks.dns", "Whether the names lead to the host; asked before anything changes."),
    "prepared": ("binderbox.checks.prepared", "What the first phase leaves: firewall, sysctls, secrets."),
    "k3s": (
        "binderbox.checks.k3s",
        "Kubernetes, its settings that cannot be changed later, and its resolver.",
    ),
    "objectstore": ("binderbox.checks.registry", "The bucket that holds the images."),
    "registry": ("binderbox.checks.registry", "The registry, and that nobody reaches it who should not."),
    "builder": ("binderbox.checks.builder", "BuildKit and the build door."),
    "ingress": ("binderbox.checks.ingress", "What visitors meet first: ports, redirect, certificates."),
    "binderhub": ("binderbox.checks.hub", "BinderHub, and that builds go through the door."),
    "agent": ("binderbox.checks.agent", "What the node does by itself."),
    "launch": ("binderbox.checks.launch", "What the proof of an install must have seen."),
    "federation": (
        "binderbox.checks.federation",
        "Whether the federation would send a member launches, and they would succeed: `federation check`.",
    ),
}


def of(*categories: str) -> tuple[Check[Any], ...]:
    """The checks of these categories, in order; an unknown name is a KeyError."""
    found: list[Check[Any]] = []
    for category in categories:
        checks = import_module(CATEGORIES[category][0]).CHECKS
        found += [check for check in checks if check.category == category]
    return tuple(found)


def every() -> tuple[Check[Any], ...]:
    return of(*CATEGORIES)
