"""A rig host does what tests of the product rely on: it boots, reboots, loses its network, and fills up alone."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from tests.rig.host import VOLUNTEER, VOLUNTEER_WITH_PASSWORD, RigHost
from tests.rig.roots import find_mirrors
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
StartHost = Callable[..., RigHost]


def test_a_host_boots_and_plain_ssh_logs_in_as_root(fresh_host: RigHost) -> None:
    seen = fresh_host.ssh("systemctl is-system-running; id -u; stat -c %F /dev/kmsg")
    assert seen.stdout.splitlines() == ["running", "0", "character special file"], seen.stderr


def test_a_unit_with_a_namespace_of_its_own_sees_what_is_mounted_later(fresh_host: RigHost) -> None:
    """As on any machine: systemd makes its root shared there."""
    seen = fresh_host.ssh(
        "systemd-run -q --unit=apart -p PrivateTmp=yes sleep 60; mkdir /run/later && mount -t tmpfs none /run/later;"
        " grep -c ' /run/later ' /proc/$(systemctl show -p MainPID --value apart)/mountinfo"
    )
    assert seen.stdout.strip() == "1", seen.stderr


def test_a_stranger_without_the_key_is_refused(fresh_host: RigHost) -> None:
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
    command = [
        "ssh",
        "-F",
        "none",
        *options,
        "-o",
        "IdentityAgent=none",
        f"root@{fresh_host.address}",
        "true",
    ]
    seen = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert seen.returncode == 255
    assert "Permission denied" in seen.stderr


def test_a_host_reaches_debian_by_name_as_the_machine_does(fresh_host: RigHost) -> None:
    seen = fresh_host.ssh("apt-get -qq update && apt-cache policy hello | grep Candidate", timeout_s=120)
    assert "Candidate: 2" in seen.stdout, seen.stderr


def test_a_hosts_resolvers_are_within_reach_of_its_pods(fresh_host: RigHost) -> None:
    servers = [line.split()[1] for line in fresh_host.ssh("cat /etc/resolv.conf").stdout.splitlines()]
    assert servers
    assert not [server for server in servers if server.startswith("127.")]  # CoreDNS would ask itself


def test_a_host_writes_machine_wide_sysctls_and_loads_nftables(fresh_host: RigHost) -> None:
    seen = fresh_host.ssh(
        "sysctl -qw fs.inotify.max_user_instances=8192 && sysctl -n fs.inotify.max_user_instances"
        " && nft add table inet probe && nft list tables"
    )
    assert seen.stdout.split("\n")[0] == "8192"
    assert "table inet probe" in seen.stdout


@pytest.mark.parametrize("how", ["shutdown", "power cut", "from inside"])
def test_a_reboot_keeps_files_and_forgets_processes(fresh_host: RigHost, how: str) -> None:
    fresh_host.exec(["sh", "-c", "echo kept | tee /root/file /var/lib/binderbox/file; touch /run/gone"])
    fresh_host.exec(["nft", "add", "table", "inet", "gone"])
    fresh_host.exec(["systemd-run", "--unit=gone", "sleep", "1000"])
    before = fresh_host.booted_at()
    if how == "from inside":
        fresh_host.ssh("systemctl reboot")
        fresh_host.wait_rebooted(before)
    else:
        fresh_host.reboot(power_cut=how == "power cut")
    seen = fresh_host.ssh("cat /root/file /var/lib/binderbox/file; ls /run/gone; systemctl is-active gone")
    assert seen.stdout.split() == ["kept", "kept", "inactive"], seen.stderr
    assert "table inet gone" not in fresh_host.exec(["nft", "list", "tables"])
    assert fresh_host.booted_at() > before


def test_a_cut_network_is_silent_and_comes_back(fresh_host: RigHost) -> None:
    fresh_host.cut_network()
    with pytest.raises(subprocess.TimeoutExpired):  # no refusal, no answer: packets are swallowed
        fresh_host.ssh("true", timeout_s=4)
    name = urlsplit(find_mirrors().archive).hostname
    assert fresh_host.exec(["sh", "-c", f"timeout 2 getent hosts {name} || echo none"]) == "none"
    fresh_host.restore_network()
    assert fresh_host.ssh("echo back").stdout == "back\n"


def test_a_session_survives_a_short_cut_and_continues(fresh_host: RigHost) -> None:
    command = ["ssh", "-F", str(fresh_host.ssh_config), fresh_host.alias, "sleep 2; echo through"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as session:
        time.sleep(1)
        fresh_host.cut_network()
        time.sleep(2)
        fresh_host.restore_network()
        assert session.communicate(timeout=60)[0] == "through\n"


def test_killing_sshd_ends_sessions_and_systemd_brings_it_back(fresh_host: RigHost) -> None:
    command = ["ssh", "-F", str(fresh_host.ssh_config), fresh_host.alias, "echo in; sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as session:
        assert session.stdout is not None
        assert session.stdout.readline() == "in\n"
        fresh_host.kill_sshd()
        assert session.wait(timeout=10) == 255
    wait_until(lambda: fresh_host.ssh("true").returncode == 0, 20, "sshd is back")
    fresh_host.kill_sshd(stay_down=True)
    assert "refused" in fresh_host.ssh("true").stderr
    fresh_host.start_sshd()
    assert fresh_host.ssh("true").returncode == 0


def test_a_full_disk_is_full_there_only(fresh_host: RigHost) -> None:
    fresh_host.exec(["sh", "-c", "echo kept > /var/lib/binderbox/file"])
    fresh_host.fill_disk("/var/lib/binderbox", leave_mb=3)
    seen = fresh_host.ssh("dd if=/dev/zero of=/var/lib/binderbox/big bs=1M count=20")
    assert "No space left on device" in seen.stderr
    assert fresh_host.ssh("dd if=/dev/zero of=/root/big bs=1M count=20").returncode == 0
    fresh_host.exec(["rm", "/var/lib/binderbox/big"])
    fresh_host.free_disk("/var/lib/binderbox")
    assert fresh_host.exec(["ls", "/var/lib/binderbox"]) == "file"
    assert "rig-disk" not in fresh_host.exec(["losetup", "--all"])  # the kernel's, of all hosts


def test_a_host_may_have_a_disk_of_its_own(start_host: StartHost) -> None:
    host = start_host("disk", disk_gb=2)
    shown = host.exec(
        ["df", "--output=source,size", "-BM", "/var/lib/rancher", "/var/lib/containerd"]
    ).split()
    assert shown[2:4] == shown[4:6]
    assert shown[2].startswith("/dev/loop")
    assert 1700 < int(shown[3].removesuffix("M")) < 2000
    host.reboot()
    assert host.exec(["df", "--output=size", "-BM", "/var/lib/rancher"]).split()[1] == shown[3]


@pytest.mark.parametrize("account", [VOLUNTEER, VOLUNTEER_WITH_PASSWORD])
def test_an_account_that_is_not_root_has_sudo_as_asked(start_host: StartHost, account: object) -> None:
    host = start_host("user", account=account, ssh_port=2222)
    assert host.ssh("id -un").stdout == "volunteer\n"
    assert host.ssh("sudo -n id -u").stdout == ("0\n" if account is VOLUNTEER else "")
    if account is VOLUNTEER_WITH_PASSWORD:
        password = VOLUNTEER_WITH_PASSWORD.sudo_password
        assert host.ssh(f"echo '{password}' | sudo -S -p '' id -u").stdout == "0\n"


def test_two_hosts_run_at_once_and_one_is_reached_through_the_other(start_host: StartHost) -> None:
    jump = start_host("jump")
    inner = start_host("inner", jump=jump)
    assert inner.ssh("hostname").stdout == f"{inner.name}\n"
    options = ["-F", str(inner.ssh_config), "-o", "ProxyJump=none", "-o", "BatchMode=yes"]
    direct = subprocess.run(
        ["ssh", *options, inner.alias], capture_output=True, text=True, timeout=30, check=False
    )
    assert "Permission denied" in direct.stderr


def test_a_stopped_host_leaves_nothing(rig_engine: dict[str, str]) -> None:
    host = RigHost.start("gone")
    assert host.engine.labelled("binderbox.rig")
    host.stop()
    assert host.engine.state(host.name) == ""
    assert host.name not in host.engine.run("volume", "ls", "--quiet")
    assert not host.directory.exists()
