"""Hosts that volunteers have: what would fail late is said by `check` at once, all of it, and nothing is changed."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from binderbox import layout
from binderbox.checks.core import AT_ONCE, run_checks
from binderbox.commands.connect import look, opened
from binderbox.output.requests import Connection, Sources
from binderbox.parts.checks import of
from tests.e2e.killing import run_into
from tests.e2e.test_uninstall import everything
from tests.rig.bundle import bundle
from tests.rig.client import Client, bundle_options, render_member
from tests.rig.host import RigHost
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

# What puts a host into a state, what takes it back, the check that names it, and words of its fix.
STATES = {
    "another firewall": (
        "apt-get -qq update; apt-get -qq install -y ufw >/dev/null; ufw allow 22/tcp; ufw --force enable",
        "ufw --force disable",
        "BBX-H21",
        "ufw disable",
    ),
    "a firewall made by hand": (
        "nft add table inet filter; nft add chain inet filter forward '{ type filter hook forward priority 0; policy drop; }'",
        "nft delete table inet filter",
        "BBX-H21",
        "/etc/nftables.conf",
    ),
    "a name with an underscore": (
        "sysctl -qw kernel.hostname=my_host", "sysctl -qw kernel.hostname=plain", "BBX-H22", "hostnamectl set-hostname",
    ),
    "a name too long": (
        "sysctl -qw kernel.hostname=binderhub-member-01.europe-west4-a.c.some-quite-long.internal.aa", "sysctl -qw kernel.hostname=plain", "BBX-H22", "hostnamectl",
    ),
    "no programs from k3s' directory": (
        "mount -t tmpfs -o size=30G,noexec case /var/lib/rancher", "umount /var/lib/rancher", "BBX-H23", "mount -o remount,exec /var/lib/rancher",
    ),
    "a disk for the data that holds nothing": (
        "mkdir -p /var/lib/binderbox; mount -t tmpfs -o size=6G case /var/lib/binderbox",
        "umount /var/lib/binderbox; rmdir /var/lib/binderbox",
        "BBX-H05",
        "free some space",
    ),
    "a disk that cannot be written": (
        "mount -t tmpfs -o size=30G,ro case /var/lib/rancher", "umount /var/lib/rancher", "BBX-H23", "remount,rw",
    ),
    "a second card in the pods' network": (
        "ip link add case0 type veth peer name case1; ip addr add 10.42.0.200/24 dev case0; ip link set case0 up; ip link set case1 up",
        "ip link delete case0",
        "BBX-H18",
        "ip -4 route",
    ),
    "a route into the builds' network": (
        "ip route add 10.44.7.0/24 via $(ip -4 route show default | awk '{ print $3 }')", "ip route delete 10.44.7.0/24", "BBX-H18", "ip -4 route",
    ),
    "few sessions": (
        "echo MaxSessions 2 > /etc/ssh/sshd_config.d/case.conf; systemctl reload ssh", "rm /etc/ssh/sshd_config.d/case.conf; systemctl reload ssh",
        "BBX-H27", "MaxSessions 10",
    ),
    "no forwards": (
        "echo DisableForwarding yes > /etc/ssh/sshd_config.d/case.conf; systemctl reload ssh", "rm /etc/ssh/sshd_config.d/case.conf; systemctl reload ssh",
        "BBX-H27", "DisableForwarding no",
    ),
    "a module switched off": (
        "mkdir -p /etc/modprobe.d; echo 'install vxlan /bin/false' > /etc/modprobe.d/case.conf", "rm /etc/modprobe.d/case.conf", "BBX-H08", "vxlan",
    ),
}  # fmt: skip


EXCLUDING_EACH_OTHER = (
    "a second disk for one of the two",
    "a disk that cannot be written",
    "a name too long",
    "no forwards",
    "a firewall made by hand",
)


@pytest.fixture(scope="module")
def host(rig_engine: dict[str, str]) -> Iterator[RigHost]:
    started = RigHost.start("states")
    try:
        yield started
    finally:
        started.stop()


def checked(client: Client, host: RigHost) -> dict[str, tuple[str, str, str]]:
    """(verdict, measured, fix) by id."""
    config = client.home / f"{host.alias}.yaml"
    config.write_text(render_member({}), encoding="utf-8")
    done = client.binderbox(host, "check", "--config", str(config), *bundle_options(), "--json")
    return {one["id"]: (one["verdict"], one["measured"], one["fix"]) for one in done.result["checks"]}


@pytest.fixture
def in_state(host: RigHost, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    make, undo, check, fix = STATES[request.param]
    host.exec(["sh", "-ec", make], timeout_s=300)
    try:
        yield check, fix
    finally:
        host.exec(["sh", "-c", f"{undo}; true"])


@pytest.mark.parametrize("in_state", STATES, indirect=True, ids=list(STATES))
def test_what_would_fail_late_is_named_with_its_fix(
    host: RigHost, client: Client, in_state: tuple[str, str]
) -> None:
    check, words = in_state
    checked(client, host)  # what asking starts, timedated for one, is there then
    before = everything(host)
    verdict, measured, fix = checked(client, host)[check]
    assert (verdict, words in fix) == ("fail", True), (measured, fix)
    assert everything(host) == before


def test_a_bare_host_has_none_of_it(host: RigHost, client: Client) -> None:
    found = checked(client, host)
    assert {found[state[2]][0] for state in STATES.values()} == {"pass"}


def test_all_at_once_is_one_list(host: RigHost, client: Client) -> None:
    names = [name for name in STATES if name not in EXCLUDING_EACH_OTHER]
    try:
        for name in names:
            host.exec(["sh", "-ec", STATES[name][0]], timeout_s=300)
        checked(client, host)
        before = everything(host)
        found = checked(client, host)
        assert all(found[STATES[name][2]][0] == "fail" for name in names)
        assert everything(host) == before
    finally:
        for name in names:
            host.exec(["sh", "-c", f"{STATES[name][1]}; true"])


HOLD = """
import fcntl, time
held = [open(path, "w") for path in ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock")]
[fcntl.lockf(one, fcntl.LOCK_EX) for one in held]
while not __import__("os").path.exists("/run/let-go"): time.sleep(0.2)
"""


def test_an_install_waits_for_whoever_installs_packages_in_a_machines_first_minutes(
    fresh_host: RigHost, client: Client
) -> None:
    host = fresh_host
    host.exec(["dpkg", "-r", "--force-depends", "zstd"])
    host.exec(["systemd-run", "-q", "--unit=case-lock", "python3", "-c", HOLD])
    running = run_into(client, host, "Prepare the host", linger_s=0)
    try:
        wait_until(
            lambda: any("which holds /var/lib/dpkg/lock" in str(line) for line in running.lines),
            60,
            "whom it waits for",
        )
        assert running.process.poll() is None
        host.exec(["touch", "/run/let-go"])
        wait_until(lambda: "Start k3s" in running.titles, 120, "the next phase")
        assert "zstd" in host.exec(["sh", "-c", "dpkg-query -W -f '${Package} ${db:Status-Status}' zstd"])
        assert host.exec(["cat", layout.SYSCTL_FILE])
    finally:
        running.kill()


def test_a_check_before_an_install_takes_three_round_trips(host: RigHost, client: Client) -> None:
    """To log in and to set the shell up, to look, and to let the host ask GitHub."""
    config = client.home / "trips.yaml"
    config.write_text(render_member({}), encoding="utf-8")
    sources = Sources(config=config, bundle=bundle().path, bundle_sha256=bundle().lock_sha256)
    with opened(Connection(host.alias, host.ssh_config), sources) as there:
        started = time.monotonic()
        probe = look(there, sources)
        looked_s = time.monotonic() - started
        run_checks(of("host", "dns"), probe, at_once=AT_ONCE)
        print(f"looked in {looked_s:.2f} s, judged after {time.monotonic() - started:.2f} s")
        assert there.round_trips <= 3
