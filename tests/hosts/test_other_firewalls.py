"""Another program takes every table of everybody away: nothing gets through meanwhile, and ours is back by itself."""

from __future__ import annotations

import random
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from binderbox import layout
from binderbox.errors import StepFailed
from tests.conftest import Installed
from tests.e2e.test_follow import gateway
from tests.hosts.test_preflight import STATES
from tests.parts.builder.test_on_host import Node
from tests.rig.client import DOMAIN, Client
from tests.rig.host import RigHost
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]
OURS = "table inet binderbox"
SEED = 12
FLUSHES = 20
UFW = STATES["another firewall"][0]
PORT = 8099  # forbidden listeners: one on the host, one beyond its uplink
# Asks for a new connection to each target, again and again, and says how often it has.
ASK = """
import socket, sys, time
asked, said = 0, time.monotonic()
while True:
    for target in sys.argv[1:]:
        address, _, port = target.rpartition(":")
        with socket.socket() as asking:
            asking.settimeout(0.1)
            try:
                asking.connect((address, int(port)))
                print("REACHED", target, flush=True)
            except OSError:
                pass
        asked += 1
    if time.monotonic() - said > 1:
        print("asked", asked, flush=True)
        said = time.monotonic()
"""


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_ufw_is_switched_off_where_an_install_is_told_to(fresh_host: RigHost, client: Client) -> None:
    fresh_host.exec(["sh", "-ec", UFW], timeout_s=300)
    refused = client.install(fresh_host, "--json").must(3)
    assert "--yes-firewall" in refused.stdout
    assert "Status: active" in fresh_host.exec(["ufw", "status"])

    done = client.install(fresh_host, "--json", "--yes-firewall").must().result
    assert done["launches"]
    assert "switch other firewalls off" in " ".join(done["changed"])
    assert {one["id"]: one["verdict"] for one in done["checks"]}["BBX-H21"] == "pass"
    assert "Status: inactive" in fresh_host.exec(["ufw", "status"])
    assert '"lines": "ufw disable"' in fresh_host.exec(["cat", layout.AUDIT_FILE])
    client.binderbox(fresh_host, "check", "--json").must()
    assert client.install(fresh_host, "--json", "--yes-firewall").must().result["changed"] == []


def loaded(host: RigHost) -> bool:
    return OURS in host.exec(["nft", "list", "tables"]).splitlines()


def delete_ours(host: RigHost) -> None:
    host.exec(["nft", "delete", "table", "inet", "binderbox"])


def test_the_table_is_back_each_time(installed_host: Installed) -> None:
    host, chance = installed_host.host, random.Random(SEED)
    for _ in range(5):
        delete_ours(host)
        wait_until(lambda: loaded(host), 10, "the firewall's table")
        time.sleep(chance.uniform(0, 1))
    known = host.exec(["nft", "list", "set", "inet", "binderbox", "system_pods"])
    wait_until(
        lambda: (
            "elements" in known
            or "elements" in host.exec(["nft", "list", "set", "inet", "binderbox", "system_pods"])
        ),
        10,
        "system pods",
    )
    assert "was gone, and is loaded again" in host.exec(
        ["journalctl", "-u", layout.KEEPER_UNIT, "-o", "cat", "--no-pager"]
    )


def test_an_install_loads_it_where_nobody_keeps_it(installed_host: Installed) -> None:
    host, client = installed_host.host, installed_host.client
    host.exec(["systemctl", "stop", layout.KEEPER_UNIT])
    try:
        delete_ours(host)
        changed = client.install(host, "--json").must().result["changed"]
    finally:
        host.exec(["systemctl", "start", layout.KEEPER_UNIT], timeout_s=300)
    assert "load the firewall where it was flushed" in " ".join(changed)
    # an installed member's firewall is never taken away, whatever becomes of this client
    assert "take the firewall back" not in " ".join(changed)
    assert loaded(host)
    assert client.install(host, "--json").must().result["changed"] == []


@pytest.fixture
def forbidden(installed_host: Installed) -> Iterator[list[str]]:
    """Targets that listen, and that neither a pod nor a build step may reach: routed, the node's own, the kubelet."""
    host = installed_host.host
    host.exec(
        ["systemd-run", "-q", "--collect", "--unit=forbidden", "python3", "-m", "http.server", str(PORT)]
    )
    targets = [f"{gateway(host)}:{PORT}", f"{host.address}:{PORT}", f"{host.address}:10250"]
    with socket.create_server((gateway(host), PORT), backlog=512):
        for target in targets:
            wait_until(lambda target=target: listens(host, target), 30, f"who listens at {target}")
        yield targets
    host.exec(["systemctl", "stop", "forbidden"])


def listens(host: RigHost, target: str) -> bool:
    address, _, port = target.rpartition(":")
    connect = "import socket, sys; socket.create_connection(sys.argv[1:], 5)"
    try:
        host.exec(["python3", "-c", connect, address, port])
    except StepFailed:
        return False
    return True


def asked(node: Node, name: str) -> int:
    """How often it has asked by now; nothing was reached."""
    log = node.log(name)
    assert "REACHED" not in log
    return max((int(line.split()[-1]) for line in log.splitlines() if "asked " in line), default=0)


def answers(host: RigHost, path: str) -> bool:
    """Whether a new connection to the member's public address gets through to BinderHub."""
    url, at = f"https://{DOMAIN}/{path}", f"{DOMAIN}:443:{host.address}"
    words = ["curl", "-ksf", "-m", "2", "-o", "/dev/null", "--resolve", at, url]
    return subprocess.run(words, check=False).returncode == 0


def test_no_flush_opens_anything_and_the_public_address_is_back(
    installed_host: Installed, forbidden: list[str]
) -> None:
    host, chance, node = installed_host.host, random.Random(SEED), Node(installed_host.host)
    node.repository(
        "asks", f"COPY ask.py /tmp/\nRUN python3 /tmp/ask.py {' '.join(forbidden)}", **{"ask.py": ASK}
    )
    node.start("asks")
    node.start("pod-asks", "python3", "-c", ASK, *forbidden)
    try:
        for name in ("asks", "pod-asks"):
            wait_until(lambda name=name: asked(node, name), 120, f"{name} asks")
        back_s = []
        for at in range(FLUSHES + 1):
            if at == FLUSHES:
                host.exec(["systemctl", "kill", "--signal=KILL", layout.KEEPER_UNIT])
            host.exec(["nft", "flush", "ruleset"])
            started = time.monotonic()
            wait_until(lambda: answers(host, "versions"), 60, "the public address")
            back_s.append(round(time.monotonic() - started, 1))
            time.sleep(chance.uniform(0, 1))
        print("the public address is back after", sorted(back_s))
        wait_until(lambda: answers(host, "health"), 90, "BinderHub's own services")
        for name in ("asks", "pod-asks"):
            before = asked(node, name)
            wait_until(lambda name=name, before=before: asked(node, name) > before, 60, f"{name} still asks")
    finally:
        node.delete_all()
    # pods that were there before still get out: the proof asks them for names
    assert installed_host.client.install(host, "--json").must().result["changed"] == []
