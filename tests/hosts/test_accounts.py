"""Accounts as people have them: a login shell that is none of Bourne's, start-up files that print."""

from __future__ import annotations

import pytest

from tests.rig.client import Client
from tests.rig.host import RigHost

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]
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
