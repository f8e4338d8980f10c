"""The job that fills in checksums believes what an install believes, and a file only when it was looked at."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import tomli_w

from binderbox.artifacts import versions
from binderbox.artifacts.versions import Pin
from binderbox.world.http.publishers import Publishers
from tests.commands.artifacts.conftest import ADDRESS
from tests.rig.internet import bodies
from tests.rig.internet.chartindex import NEW
from tests.rig.internet.faults import Fault
from tests.rig.internet.releases import HELM
from tests.rig.internet.world import World
from tests.tools.checksums import filled

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
NAMES = ("helm", "traefik", "binderhub-chart")


def fill(internet: World, client: Publishers, directory: Path) -> tuple[dict[str, Pin], list[str]]:
    (directory / "ca.pem").write_text(internet.ca_pem)
    tables = tomllib.loads(internet.versions(pinned=False))
    text = tomli_w.dumps({"schema": 1, **{name: tables[name] for name in NAMES}})
    there = ("--connect-to", f"::{ADDRESS}:443", "--cacert", str(directory / "ca.pem"))
    found, refused = filled(text, [("client", client)], there)
    return versions.parse(found), refused


def test_every_sum_that_is_stated_and_true_is_filled_in(
    internet: World, client: Publishers, pinned: dict[str, Pin], tmp_path: Path
) -> None:
    found, refused = fill(internet, client, tmp_path)
    assert {name: pin.sha256 for name, pin in found.items()} == {name: pinned[name].sha256 for name in NAMES}
    assert refused == []


def test_what_is_stated_wrongly_stays_without_a_sum(
    internet: World, client: Publishers, pinned: dict[str, Pin], tmp_path: Path
) -> None:
    """helm states its sum alone; only a look at the file itself shows that it is another."""
    internet.faults.add(
        HELM, "sha256sum$", Fault(body=bodies.other_sum(str(pinned["helm"].sha256))), times=None
    )
    internet.faults.add(NEW, r"index\.yaml$", Fault(body=bodies.HTML), times=None)
    found, refused = fill(internet, client, tmp_path)
    assert [name for name, pin in found.items() if pin.sha256] == ["traefik"]
    assert [line.partition(":")[0] for line in refused] == ["helm", "binderhub-chart"]
    assert "it was not used" in refused[0]
