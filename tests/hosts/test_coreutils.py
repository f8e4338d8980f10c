"""Ubuntu 26.04 has the coreutils that are written in Rust: every sh text of ours runs with those, too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rig.client import Client
from tests.rig.host import RigHost

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(1500)]
# Before the others on everybody's PATH: root's, ours, and systemd's.
TAKE_THEIR_PLACE = """
apt-get -qq update; apt-get -qq install -y rust-coreutils >/dev/null
for tool in $(coreutils --list); do ln -sf "$(command -v coreutils)" "/usr/local/bin/$tool"; done
readlink -f "$(command -v stat)"
"""


@pytest.fixture
def host(rig_engine: dict[str, str]) -> Iterator[RigHost]:
    started = RigHost.start("uutils", release="trixie")
    try:
        yield started
    finally:
        started.stop()


def test_a_member_comes_and_goes_with_the_coreutils_of_rust(host: RigHost, client: Client) -> None:
    assert host.exec(["sh", "-ec", TAKE_THEIR_PLACE], timeout_s=300).endswith("/coreutils")
    client.install(host, "--json").must()
    assert client.install(host, "--json").must().result["changed"] == []
    client.binderbox(host, "check", "--json").must()
    gone = client.binderbox(host, "uninstall", "--purge", "--yes", "--json").must().result
    assert gone["leftovers"] == []
