"""Take a member down, in three looks at the host: units first, then what outlived them, then files."""

from __future__ import annotations

from pyinfra.api import deploy

from binderbox.deploys.operations import removal


@deploy("Stop services")
def stop_services(_: bool) -> None:
    removal.units(name="Stop and remove our units")


@deploy("Stop pods")
def stop_pods(_: bool) -> None:
    removal.runtime(name="End pods and builds, take their network down")


@deploy("Remove files")
def remove_files(purge: bool) -> None:
    removal.paths(name="Remove our files", purge=purge)
