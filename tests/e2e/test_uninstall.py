"""Nothing is left of binderbox after an uninstall, whatever it found; data stays unless it is to go."""

from __future__ import annotations

import pytest

from binderbox import layout
from tests.conftest import Installed
from tests.e2e.killing import run_into
from tests.places import ROOT
from tests.rig.client import Client
from tests.rig.host import RigHost

SNAPSHOT = (ROOT / "tests/e2e/snapshot.sh").read_text()
pytestmark = [pytest.mark.host, pytest.mark.timeout(1200)]


def everything(host: RigHost) -> set[str]:
    return set(host.exec(["sh", "-c", SNAPSHOT], timeout_s=300).splitlines())


@pytest.mark.long
def test_a_purge_leaves_the_host_as_it_was(fresh_host: RigHost, client: Client) -> None:
    """Asked by a look of its own at everything, not by the script that removes."""
    fresh_host.exec(
        ["sh", "-c", f"apt-get -qq update && apt-get -qq install -y {' '.join(layout.PACKAGES)}"],
        timeout_s=600,
    )
    before = everything(fresh_host)
    client.install(fresh_host, "--json").must()
    gone = client.binderbox(fresh_host, "uninstall", "--purge", "--yes", "--json").must().result
    after = everything(fresh_host)
    assert (sorted(after - before), sorted(before - after)) == ([], [])
    assert gone["leftovers"] == []


@pytest.mark.long
def test_data_stays_and_a_new_install_finds_it(installed_host: Installed) -> None:
    host, client = installed_host.host, installed_host.client
    password = host.exec(["cat", f"{layout.SECRETS}/registry-password"])
    gone = client.binderbox(host, "uninstall", "--yes", "--json").must().result
    assert gone["leftovers"] == []
    assert layout.ETC in gone["kept"]
    again = client.binderbox(host, "uninstall", "--yes", "--json").must().result
    assert (again["leftovers"], again["removed"]) == ([], [])
    client.install(host, "--json").must()
    assert host.exec(["cat", f"{layout.SECRETS}/registry-password"]) == password


@pytest.mark.long
@pytest.mark.parametrize("title", ["Start the builder", "Start k3s"])
def test_a_half_made_install_goes_too(fresh_host: RigHost, client: Client, title: str) -> None:
    run_into(client, fresh_host, title, linger_s=2).kill()
    gone = (
        client.binderbox(fresh_host, "uninstall", "--purge", "--yes", "--json", "--lock-wait", "60")
        .must()
        .result
    )
    assert gone["leftovers"] == []


def test_uninstall_of_a_bare_host_does_nothing(fresh_host: RigHost, client: Client) -> None:
    gone = client.binderbox(fresh_host, "uninstall", "--purge", "--yes", "--json").must().result
    assert (gone["leftovers"], gone["removed"]) == ([], [])
