"""What abusers try, from a real notebook and a real build: by the command, and by the node itself."""

from __future__ import annotations

import json

import pytest

from binderbox import layout
from tests.conftest import Installed
from tests.e2e.federated import serve_repository
from tests.rig import images
from tests.rig.host import RigHost
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]


def journal(host: RigHost) -> str:
    return host.exec(["journalctl", "-u", layout.KEEPER_UNIT, "-o", "cat", "--no-pager", "-n", "400"])


def test_the_command_tries_all_of_it_and_all_of_it_is_refused(installed_host: Installed) -> None:
    done = installed_host.client.binderbox(installed_host.host, "abuse check", "--json")
    rows = done.result["rows"]
    assert [(row["name"], row["fault"]) for row in rows if row["fault"]] == []
    assert done.code == 0
    print(json.dumps({row["name"]: (row["notebook"], row["build"]) for row in rows}, indent=1))
    said = journal(installed_host.host)
    for address, port in (("169.254.169.254", "80/tcp"), ("198.18.254.1", "25/tcp")):
        assert f"{address} port {port}" in said or "more addresses and ports" in said
    assert "git://" in said, "the repository is named"
    assert not installed_host.host.exec(
        ["sh", "-c", f"ls -d /sys/class/net/{layout.CANARY_INTERFACE} || true"]
    )


def test_the_node_tries_it_by_itself_and_says_the_score(installed_host: Installed) -> None:
    host, client = installed_host.host, installed_host.client
    host.exec(["systemctl", "start", layout.ABUSE_SERVICE], timeout_s=600)
    told = json.loads(host.exec(["cat", layout.ABUSE_STATE]))
    assert (told["faults"], told["why"], told["good"]) == ([], "", told["of"])
    status = client.binderbox(host, "status", "--json").result
    (part,) = [one for one in status["parts"] if one["name"] == "abuse check"]
    assert (part["ok"], part["version"]) == (True, f"{told['of']} of {told['of']}")
    (check,) = [one for one in status["checks"] if one["id"] == "BBX-G01"]
    assert check["verdict"] == "pass", "its own scan is nobody's"


SCAN = """
import socket
refused = 0
for n in range(1, 200):
    with socket.socket() as sock:
        sock.settimeout(0.05)
        try:
            sock.connect((f"198.18.254.{n}", 443))
        except ConnectionRefusedError:
            refused += 1
        except OSError:
            pass
print(refused)
"""


def test_a_scan_of_a_visitors_is_told_with_its_repository(installed_host: Installed) -> None:
    host, client = installed_host.host, installed_host.client
    url = serve_repository(
        host, "scans", f"FROM {images.SAMPLE_BASE}\nCOPY . .\nRUN python3 scan.py\n", **{"scan.py": SCAN}
    )
    try:
        client.binderbox(host, "launch", url, "--ref", "main", "--stop", "--json").must()
    finally:
        host.exec(
            ["sh", "-c", f"rm -rf {layout.RUN}/samples/scans; ip link delete {layout.CANARY_INTERFACE}"]
        )
    wait_until(lambda: "scan-refused" in host.exec(["cat", layout.AUDIT_FILE]), 30, "the audit log")
    (check,) = [
        one for one in client.binderbox(host, "check", "--json").result["checks"] if one["id"] == "BBX-G01"
    ]
    assert check["verdict"] == "warn"
    assert url in check["measured"]


AFTER = {
    "k3s was restarted": lambda host: host.exec(["systemctl", "restart", "k3s.service"], timeout_s=300),
    "every table was flushed": lambda host: host.exec(["nft", "flush", "ruleset"]),
    "a reboot": lambda host: host.reboot(),
}


@pytest.mark.long
@pytest.mark.parametrize("what", AFTER)
def test_all_of_it_is_refused_again_after(installed_host: Installed, what: str) -> None:
    host, client = installed_host.host, installed_host.client
    AFTER[what](host)
    wait_until(lambda: client.binderbox(host, "check", "--json").code == 0, 600, f"the member after {what}")
    rows = client.binderbox(host, "abuse check", "--json").must().result["rows"]
    assert [(row["name"], row["fault"]) for row in rows if row["fault"]] == []
