"""Every check, by category, in the order in which a host is made: what must hold before, and what proves each phase."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from binderbox.checks.core import Check

CATEGORIES: dict[str, tuple[tuple[str, ...], str]] = {
    "host": (("binderbox.parts.host.checks",), "Whether the host is fit; asked before anything changes."),
    "dns": (
        ("binderbox.checks.dns", "binderbox.parts.ingress.preflight"),
        "Whether the names lead to the host; asked before anything changes.",
    ),
    "store": (
        ("binderbox.parts.objectstore.outside",),
        "Whether the config's own object store is fit, where it names one; asked before anything changes.",
    ),
    "prepared": (
        ("binderbox.parts.firewall.checks", "binderbox.parts.host.checks", "binderbox.parts.secrets.checks"),
        "What the first phase leaves: firewall, sysctls, secrets.",
    ),
    "k3s": (
        ("binderbox.parts.k3s.checks",),
        "Kubernetes, its settings that cannot be changed later, and its resolver.",
    ),
    "objectstore": (("binderbox.parts.objectstore.checks",), "The bucket that holds the images."),
    "registry": (
        ("binderbox.parts.registry.checks",),
        "The registry, and that nobody reaches it who should not.",
    ),
    "ingress": (
        ("binderbox.parts.ingress.checks",),
        "What visitors meet first: ports, redirect, certificates.",
    ),
    "binderhub": (
        ("binderbox.parts.binderhub.checks", "binderbox.parts.fetch.checks"),
        "BinderHub, that builds go through the door, and that all images are here to stay.",
    ),
    "builder": (("binderbox.parts.builder.checks",), "BuildKit and the build door."),
    "guard": (
        ("binderbox.parts.firewall.checks", "binderbox.parts.guard.checks", "binderbox.parts.guard.policies"),
        "Whether strangers' code harms others from this node.",
    ),
    "agent": (("binderbox.parts.agent.checks",), "What the node does by itself."),
    "retention": (
        ("binderbox.parts.registry.checks", "binderbox.parts.disk.checks"),
        "Whether what grows is kept in bounds.",
    ),
    "artifacts": (
        ("binderbox.parts.fetch.checks",),
        "Whether publishers still state what the node has recorded: `check --upstream`.",
    ),
    "launch": (("binderbox.launch.checks",), "What the proof of an install must have seen."),
    "federation": (
        ("binderbox.federation.members.checks",),
        "Whether the federation would send a member launches, and they would succeed: `federation check`.",
    ),
}

# What must hold before anything changes.
PREFLIGHT = ("host", "dns", "store")

# What must hold on an installed host: the proofs of INSTALL's phases, in their order, and what the node does later.
INSTALLED = (
    "prepared",
    "k3s",
    "objectstore",
    "registry",
    "ingress",
    "binderhub",
    "builder",
    "guard",
    "agent",
    "retention",
)


def of(*categories: str) -> tuple[Check[Any], ...]:
    """The checks of these categories, in order; an unknown name is a KeyError."""
    found: list[Check[Any]] = []
    for category in categories:
        for module in CATEGORIES[category][0]:
            found += [check for check in import_module(module).CHECKS if check.category == category]
    return tuple(found)


def every() -> tuple[Check[Any], ...]:
    return of(*CATEGORIES)
