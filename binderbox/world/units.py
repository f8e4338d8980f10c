"""What systemd says of units, of one or of many in one call."""

from __future__ import annotations

from collections.abc import Iterable

from binderbox.checks.probe import UnitState
from binderbox.errors import Unhealthy
from binderbox.world.host.hosts import Host

WANTED = "Id,LoadState,ActiveState,SubState,Result,MemoryMax"
LOOK_S = 20


def show(host: Host, names: Iterable[str]) -> dict[str, UnitState]:
    """Each unit by its name, without its journal; raises Unhealthy where systemd gives no answer."""
    output = host.run(["systemctl", "show", "-p", WANTED, *names], timeout_s=LOOK_S)
    if output.code:
        raise Unhealthy(
            f"{host.name}: systemctl show failed",
            cause=output.stderr.decode(errors="replace").strip()[-500:],
            remedy=f"binderbox install {host.name}",
        )
    return parse(output.text)


def parse(text: str) -> dict[str, UnitState]:
    """The blocks of `systemctl show`, which an empty line parts."""
    found = (
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in text.split("\n\n")
    )
    return {one["Id"]: _unit(one) for one in found if "Id" in one}


def _unit(known: dict[str, str]) -> UnitState:
    limit = known.get("MemoryMax", "infinity")
    return UnitState(
        name=known["Id"],
        load=known.get("LoadState", "not-found"),
        active=known.get("ActiveState", "unknown"),
        sub=known.get("SubState", ""),
        result=known.get("Result", ""),
        memory_max=int(limit) if limit.isdigit() else None,
    )
