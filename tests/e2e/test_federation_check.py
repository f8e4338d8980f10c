"""`federation check` of a host: what a member with the federation's secret is told, and one with another."""

from __future__ import annotations

import pytest

from binderbox import layout
from tests.conftest import Installed
from tests.e2e.federated import URL, end_sessions, federation
from tests.output.schemas import validate_output
from tests.rig.host import RigHost

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]


def verdicts(installed: Installed, secret: bytes, *args: str) -> dict[str, tuple[str, str]]:
    """Each check's verdict and what was measured, with a prime of that secret."""
    with federation(installed.host, secret=secret) as (redirector, _):
        done = installed.client.binderbox(
            installed.host, "federation check", "--federation", redirector.url, "--json", *args
        )
    result = validate_output(done.stdout, "federation-check")
    assert (done.code, result["exit"]) == (5, 5)  # nobody but the member itself trusts its own authority
    assert result["url"] == URL
    return {check["id"]: (check["verdict"], check["measured"]) for check in result["checks"]}


def own_secret(host: RigHost) -> bytes:
    return bytes.fromhex(host.exec(["cat", f"{layout.SECRETS}/own-build-token"]).strip())


def test_a_member_with_the_secret_launches_what_the_prime_s_page_asks_for(installed_host: Installed) -> None:
    end_sessions(installed_host.host)
    told = verdicts(installed_host, own_secret(installed_host.host))
    assert told["BBX-F03"][0] == "fail", told
    assert "certificate" in told["BBX-F03"][1]
    good = ("02", "04", "06", "07", "09", "10", "11", "12", "13", "15")
    assert {number: told[f"BBX-F{number}"][0] for number in good} == dict.fromkeys(good, "pass"), told


def test_one_with_another_secret_is_told_which_is_missing(installed_host: Installed) -> None:
    told = verdicts(installed_host, b"0" * 32, "--no-launch")
    assert told["BBX-F11"] == ("fail", "403 for a token of the prime's page")
    assert (told["BBX-F06"][0], told["BBX-F07"][0]) == ("pass", "pass")  # its health shows nothing of it
