"""Takes away what `Leftovers` finds; each operation does nothing where nothing of its kind is left."""

from __future__ import annotations

from collections.abc import Generator
from importlib.resources import files

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from binderbox import layout
from binderbox.deploys.facts.leftovers import Leftovers

STOP_PODS = files("binderbox.deploys.files") / "stop-pods.sh"
RUNTIME = ("process", "mount", "netns", "interface", "nft-table", "rules", "profile", "cgroup")


@operation()
def units(*, keep: tuple[str, ...] = ()) -> Generator[StringCommand, None, None]:
    """Stop, disable and forget our units, those that hold others up last.

    + keep: units that stay
    """
    left = [name for kind, name in host.get_fact(Leftovers) if kind == "unit" and name not in keep]
    if not left:
        host.noop("no unit of ours is left")
        return
    order = {name: at for at, name in enumerate(layout.UNITS)}
    services = sorted(
        (name for name in left if name.endswith((".service", ".timer"))),
        key=lambda name: (
            not name.endswith(".timer"),
            order.get(name, -1),
        ),  # a timer would start its service again
    )
    for name in services:
        yield StringCommand(
            "systemctl",
            "disable",
            "--now",
            QuoteString(name),
            "2>/dev/null",
            "||",
            "systemctl",
            "stop",
            QuoteString(name),
            "||",
            "true",
        )
    for name in left:
        if name not in services:
            yield StringCommand("systemctl", "stop", QuoteString(name), "2>/dev/null", "||", "true")
        yield StringCommand("rm", "-rf", QuoteString(f"{layout.SYSTEMD}/{name}"))
    yield StringCommand("systemctl", "daemon-reload")
    yield StringCommand(
        "systemctl", "reset-failed", *(QuoteString(name) for name in left), "2>/dev/null", "||", "true"
    )


@operation()
def runtime() -> Generator[StringCommand, None, None]:
    """End pods and builds that outlived their daemons, and take down mounts, interfaces and rules."""
    left = {kind for kind, _ in host.get_fact(Leftovers)}
    if left.isdisjoint(RUNTIME):
        host.noop("nothing of ours runs")
        return
    yield StringCommand(
        "sh", "-c", QuoteString(STOP_PODS.read_text()), "sh", *map(QuoteString, layout.SCRIPT_SETTINGS)
    )


@operation()
def paths(*, purge: bool) -> Generator[StringCommand, None, None]:
    """Remove our files.

    + purge: data, secrets and the config too
    """
    left = [name for kind, name in host.get_fact(Leftovers, purge=purge) if kind == "file"]
    if not left:
        host.noop("no file of ours is left")
    for name in left:
        yield StringCommand("rm", "-rf", "--one-file-system", "--", QuoteString(name))
    if any(name.startswith(layout.EXTRA_CA) for name in left):  # the bundle of all authorities has them too
        yield StringCommand("update-ca-certificates", "--fresh", ">/dev/null")
