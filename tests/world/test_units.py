"""What `systemctl show` prints of several units at once, as Debian 13's systemd 257 does."""

from __future__ import annotations

from binderbox.checks.probe import UnitState
from binderbox.world.units import parse

SHOWN = """\
Id=k3s.service
LoadState=loaded
ActiveState=active
SubState=running
Result=success
MemoryMax=infinity

Id=binderbox-builds.slice
LoadState=loaded
ActiveState=active
SubState=active
MemoryMax=6300000000

Id=binderbox-door.service
LoadState=not-found
ActiveState=inactive
SubState=dead
Result=success
MemoryMax=infinity
"""


def test_each_block_is_a_unit() -> None:
    assert parse(SHOWN) == {
        "k3s.service": UnitState("k3s.service", "loaded", "active", "running", "success"),
        "binderbox-builds.slice": UnitState(
            "binderbox-builds.slice", "loaded", "active", "active", memory_max=6_300_000_000
        ),
        "binderbox-door.service": UnitState(
            "binderbox-door.service", "not-found", "inactive", "dead", "success"
        ),
    }


def test_nothing_shown_is_no_unit() -> None:
    assert parse("") == {}
