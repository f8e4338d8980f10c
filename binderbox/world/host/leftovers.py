"""The scan after an uninstall: the same look at the host that the removal works from."""

from __future__ import annotations

from importlib.resources import files

from binderbox import layout
from binderbox.world.host.hosts import Host

SCRIPT = files("binderbox.world.host") / "leftovers.sh"


def leftovers(host: Host, purge: bool) -> tuple[str, ...]:
    """What is still there, as "kind name"; empty is right."""
    output = host.run(
        ["sh", "-c", SCRIPT.read_text(), "sh", "purge" if purge else "keep", *layout.SCRIPT_SETTINGS],
        timeout_s=60,
    )
    return tuple(line.replace("\t", " ") for line in output.stdout.decode().splitlines())


def kept_paths(host: Host) -> tuple[str, ...]:
    """Which of the data, secrets and config are there, to be found by a new install."""
    output = host.run(["sh", "-c", SCRIPT.read_text(), "sh", "kept", *layout.SCRIPT_SETTINGS], timeout_s=30)
    return tuple(line.partition("\t")[2] for line in output.stdout.decode().splitlines())


def remove_lock(host: Host) -> None:
    """Remove the lock's own folder, unless somebody has taken the lock meanwhile."""
    host.run(["flock", "--nonblock", f"{layout.RUN}/lock", "rm", "-rf", layout.RUN], timeout_s=30)
