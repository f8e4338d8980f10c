"""Accounts as people have them: a login shell that is none of Bourne's, start-up files that print."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hosts.test_preflight import checked
from tests.rig.client import Client
from tests.rig.host import VOLUNTEER, VOLUNTEER_WITH_PASSWORD, RigHost

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(900)]
CSH = """
apt-get -qq update; apt-get -qq install -y tcsh >/dev/null
usermod -s /bin/csh root
echo 'echo "Welcome to this machine of ours"; echo "Mind the quota" > /dev/stderr' > /root/.cshrc
"""


def test_a_member_is_installed_by_an_account_with_csh_that_greets(
    fresh_host: RigHost, client: Client
) -> None:
    fresh_host.exec(["sh", "-ec", CSH], timeout_s=300)
    greeted = fresh_host.ssh("true")
    assert "Welcome" in greeted.stdout
    assert client.install(fresh_host, "--json").must().result["url"]
    assert client.install(fresh_host, "--json").must().result["changed"] == []


SUDO_RS = """
apt-get -qq update; apt-get -qq install -y sudo-rs >/dev/null
ln -sf "$(ls /usr/bin/sudo-rs /usr/lib/cargo/bin/sudo 2>/dev/null | head -n 1)" /usr/local/bin/sudo
sudo --version 2>&1; readlink -f "$(command -v sudo)"; dpkg -L sudo-rs | grep bin/
"""


@pytest.fixture(scope="module", params=[VOLUNTEER, VOLUNTEER_WITH_PASSWORD], ids=["free", "password"])
def sudo_rs(request: pytest.FixtureRequest, rig_engine: dict[str, str]) -> Iterator[RigHost]:
    """Ubuntu's sudo from 25.10 on."""
    started = RigHost.start("sudo-rs", release="trixie", account=request.param)
    try:
        assert "sudo-rs" in started.exec(["sh", "-ec", SUDO_RS], timeout_s=300)
        yield started
    finally:
        started.stop()


def test_the_sudo_that_is_written_in_rust_lets_us_become_root(sudo_rs: RigHost, client: Client) -> None:
    assert checked(client, sudo_rs)["BBX-H11"][:2] == ("pass", "root")
