"""Power cuts: a drained member stays out while it boots and through an install, a resumed one comes back."""

from __future__ import annotations

import time

import pytest

from binderbox.errors import NoAnswer
from tests.conftest import Installed
from tests.e2e.federated import OURS, THEIRS, URL, browser, federation
from tests.rig.client import Client
from tests.rig.host import RigHost

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(1800)]

BOOT_S = 300


@pytest.fixture
def installed(fresh_host: RigHost, client: Client) -> Installed:
    """A host of the test's own: one that is cut off has no place among others' tests."""
    return Installed(fresh_host, client, client.install(fresh_host, "--json").must())


def test_drained_and_resumed_through_power_cuts_and_an_install(installed: Installed) -> None:
    host, client = installed.host, installed.client
    with federation(host) as (redirector, _):
        arguments = ["--federation", redirector.url, "--reason", "new disk", "--json"]
        client.binderbox(host, "drain", *arguments).must()
        redirector.wait_until({THEIRS}, 60)
        out_since_s = redirector.seconds()
        host.reboot(power_cut=True)
        until_health(installed, 503)
        assert browser(host).request("GET", f"{URL}/health").json()["drained"]["reason"] == "new disk"

        again = client.install(host, "--json").must().result
        assert again["changed"] == []
        status = client.binderbox(host, "status", "--json").must().result
        assert (status["verdict"], status["drain"]["reason"]) == ("healthy", "new disk")
        assert browser(host).request("GET", f"{URL}/health").status_code == 503
        later = [names for at_s, names in redirector.history if at_s > out_since_s]
        assert not [names for names in later if OURS in names]

        assert client.binderbox(host, "resume", "--json").must().result["health"] == 200
        redirector.wait_until({THEIRS, OURS}, 60)
        host.reboot(power_cut=True)
        until_health(installed, 200)
        redirector.wait_until({THEIRS, OURS}, 60)


def until_health(installed: Installed, status: int) -> None:
    """After a boot; an answer of the other kind on the way fails the test."""
    other = {200: '"drained"', 503: '"ok": true'}[status]
    deadline = time.monotonic() + BOOT_S
    while True:
        try:
            answer = browser(installed.host).request("GET", f"{URL}/health", timeout_s=5)
        except NoAnswer as error:
            said = str(error)
        else:
            said = f"{answer.status_code} {answer.text}"
            assert other not in answer.text, said
            if answer.status_code == status:
                return
        assert time.monotonic() < deadline, said
        time.sleep(0.5)
