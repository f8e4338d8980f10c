"""Everything that an install must bear, on one host at once: before the first install, and on a member that runs.

What is refused instead is in test_preflight.py. What a container cannot be (hidepid, modules, cgroup v2 with resolved's
stub) is in tests/vm/.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from binderbox import layout
from tests.e2e.federated import kubectl
from tests.e2e.test_follow import gateway
from tests.e2e.test_from_the_internet import TAKE_ITS_PLACE
from tests.hosts.test_accounts import CSH
from tests.hosts.test_networks import CHOSEN, SECOND_CARD
from tests.hosts.test_other_firewalls import UFW
from tests.hosts.test_preflight import HOLD
from tests.hosts.test_resolvers import WILDCARD
from tests.rig.client import Client, Finished
from tests.rig.egress import registry_names
from tests.rig.host import RigHost
from tests.rig.internet import ZONE, Internet
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(2400)]
SEARCHED = f"dhcp.{ZONE}"
MTU = 1400
OPEN = 9100  # a program of the host's own that others ask, by `ingress_allow`
HELD_S = 45
GATEWAY = "gateway=$(ip -4 route show default | awk '{ print $3 }')"

# In the order in which they are applied: what installs packages first, and last what keeps others from it.
STATES = {
    "a login shell that is none of Bourne's, and greets": CSH,
    "another program's flush": "nft flush ruleset",
    "a firewall as every guide has it": UFW,
    "a hardening role's settings": """
        echo 'net.ipv4.ip_forward = 0' >/etc/sysctl.d/99-hardening.conf; sysctl -q -p /etc/sysctl.d/99-hardening.conf
    """,
    "a /tmp that runs no programs": "mount -t tmpfs -o size=2G,noexec,nosuid,nodev case /tmp",
    "an uplink with a small MTU": f"""
        ip link set "$(ip -4 route show default | awk '{{ print $5 }}')" mtu {MTU}
    """,
    "a card in the networks that a node has by default": SECOND_CARD,
    "a name with capitals, another than before": "sysctl -qw kernel.hostname=Renamed-Later",
    "a program that others ask": f"systemd-run -q --collect --unit=case-open python3 -m http.server {OPEN}",
    # elsewhere BBX-H29 refuses a stub
    "a resolver on the loopback": f"""
        [ -e /sys/fs/cgroup/cgroup.controllers ] || exit 0
        {GATEWAY}; mkdir -p /run/systemd/resolve
        echo "nameserver $gateway" >/run/systemd/resolve/resolv.conf
        systemd-run -q --collect --unit=case-stub socat UDP4-RECVFROM:53,bind=127.0.0.53,fork UDP4-SENDTO:"$gateway":53
    """,
    "a search domain with a wildcard": f"""
        {GATEWAY}; [ -e /run/systemd/resolve/resolv.conf ] && gateway=127.0.0.53
        printf 'nameserver %s\\nsearch {SEARCHED}\\n' "$gateway" >/run/resolv.conf; {TAKE_ITS_PLACE}
        [ "$(getent ahostsv4 whatever.else | awk 'NR == 1 {{ print $1 }}')" = {WILDCARD} ]
    """,
    "unattended upgrades that take a while": f"""
        rm -f /run/let-go; dpkg -r --force-depends zstd
        systemd-run -q --collect --unit=case-lock python3 -c {shlex.quote(HOLD)}
        systemd-run -q --collect --on-active={HELD_S} touch /run/let-go
    """,
}
CONFIG = {"networks": CHOSEN, "ingress_allow": [{"ports": [OPEN]}]}


@pytest.fixture
def host(fresh_host: RigHost, tmp_path: Path) -> Iterator[RigHost]:
    """A bare host in a world of names that is the rig's own."""
    with Internet(gateway(fresh_host), tmp_path) as internet:
        internet.names.addresses |= {f"*.{SEARCHED}": WILDCARD, **registry_names()}
        yield fresh_host


def apply_all(host: RigHost) -> None:
    for name, script in STATES.items():
        print(name, flush=True)
        host.exec(["sh", "-ec", script], timeout_s=300)


def install(client: Client, host: RigHost) -> Finished:
    return client.install(host, "--json", "--yes-firewall", **CONFIG).must()


def assert_well(client: Client, host: RigHost) -> None:
    """The states are still there, and nothing of them has come through."""
    assert "Status: inactive" in host.exec(["ufw", "status"])
    assert host.exec(["sysctl", "-n", "net.ipv4.ip_forward"]).strip() == "1"
    assert "zstd" in host.exec(["dpkg-query", "--show", "zstd"])
    assert f"mtu {MTU}" in host.exec(["sh", "-c", "ip link show $(ip -4 route show default | cut -d' ' -f5)"])
    assert len(kubectl(host, "get", "nodes")["items"]) == 1
    pod = ["kubectl", "-n", layout.HUB_NAMESPACE, "exec", "deploy/hub", "--", "cat", "/etc/resolv.conf"]
    assert SEARCHED not in host.exec([layout.K3S, *pod])
    assert "Directory listing" in client_gets(host)
    client.binderbox(host, "check", "--json").must()
    assert install(client, host).result["changed"] == []


def client_gets(host: RigHost) -> str:
    """What a program of the host's own says to others."""
    from urllib.request import urlopen

    with urlopen(f"http://{host.address}:{OPEN}/", timeout=10) as answer:
        return str(answer.read().decode())


def test_a_member_is_installed_on_a_host_that_is_in_all_of_them(host: RigHost, client: Client) -> None:
    apply_all(host)
    done = install(client, host).result
    assert len(done["launches"]) == 2
    assert_well(client, host)


def test_a_member_that_comes_into_all_of_them_is_told_and_mended(host: RigHost, client: Client) -> None:
    install(client, host)
    apply_all(host)
    found = client.binderbox(host, "check", "--json")
    failing = {one["id"]: one for one in found.result["checks"] if one["verdict"] == "fail"}
    print(found.code, sorted(failing))
    assert "BBX-H21" in failing  # and more, because that firewall cuts the member off
    assert all(one["fix"] for one in failing.values())
    done = install(client, host).result
    assert len(done["launches"]) == 2
    wait_until(
        lambda: client.binderbox(host, "check", "--json").code == 0, 120, "the member, mended and looked at"
    )
    client.binderbox(host, "launch", "--stop", "--json").must()
    assert_well(client, host)
