"""`federation join` of a host: written for the address that the host's own config names, and not ready until it passes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from binderbox.federation.deployrepo.tree import CONFIG
from tests.conftest import Installed
from tests.e2e.federated import URL, end_sessions, federation
from tests.federation.checkouts import git, make_checkout
from tests.federation.playing import free_port
from tests.output.schemas import validate_output
from tests.rig.client import CONTACT, Client
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(900)]
NAME, BRANCH = "example-u", "binderbox/join-example-u"


@contextmanager
def git_address(path: Path) -> Iterator[str]:
    """The repository as git's own protocol serves it."""
    port = free_port()
    serve = [
        "git",
        "daemon",
        "--export-all",
        "--listen=127.0.0.1",
        f"--port={port}",
        f"--base-path={path.parent}",
    ]
    url = f"git://127.0.0.1:{port}/{path.name}"
    with subprocess.Popen([*serve, str(path.parent)], stderr=subprocess.DEVNULL) as daemon:
        try:
            wait_until(
                lambda: subprocess.run(["git", "ls-remote", "-q", url], capture_output=True).returncode == 0,
                20,
                url,
            )
            yield url
        finally:
            daemon.terminate()


def join(installed: Installed, redirector_url: str, where: str) -> dict[str, Any]:
    options = (
        "--federation",
        redirector_url,
        "--name",
        NAME,
        "--run-by",
        "Example U",
        "--deploy-repo",
        where,
    )
    done = installed.client.binderbox(installed.host, "federation join", *options, "--json")
    return validate_output(done.must(5).stdout, "federation-join")


def test_a_host_is_joined_by_what_its_own_config_says(installed_host: Installed, client: Client) -> None:
    here = Installed(installed_host.host, client, installed_host.finished)
    end_sessions(here.host)
    with federation(here.host) as (redirector, prime):
        checkout = make_checkout(client.home / "deploy", prime.url)
        told = join(here, redirector.url, str(checkout))
        assert (told["ready"], told["branch"], told["changed"]) == (False, BRANCH, True)
        failed = {check["id"] for check in told["checks"] if check["verdict"] == "fail"}
        assert {"BBX-F03", "BBX-F11"} <= failed  # its authority is its own, and the secret is another
        entry = git(checkout, "show", f"{BRANCH}:{CONFIG}")
        assert f"    {NAME}:\n      prime: false\n      url: {URL}\n      weight: 5\n" in entry
        assert f"contact: <{CONTACT}>" in told["diff"]
        assert told["handover"][0]["command"] == f"binderbox secrets set {here.host.alias} build-token"
        again = join(here, redirector.url, str(checkout))
        assert (again["changed"], again["commit"]) == (False, told["commit"])
        assert git(checkout, "rev-list", "--count", f"main..{BRANCH}") == "1"
        assert git(checkout, "status", "--porcelain") == ""

        git(checkout, "branch", "-q", "-D", BRANCH)
        (client.home / ".gitconfig").write_text("[user]\nname = Somebody\nemail = somebody@example.org\n")
        with git_address(checkout) as url:
            cloned = join(here, redirector.url, url)
        assert cloned["diff"] == told["diff"]
        assert (
            git(client.home / "mybinder.org-deploy", "log", "-1", "--format=%H", BRANCH) == cloned["commit"]
        )
        assert git(checkout, "branch", "--list", "binderbox/*") == ""  # nothing is pushed
