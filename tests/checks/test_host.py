"""Which hosts are fit: one row a fact, the last column words that the verdict must say."""

from __future__ import annotations

from typing import Any

import pytest

from binderbox.checks import machine, surroundings, traps
from binderbox.checks.core import run_checks
from binderbox.checks.probe import Calls
from binderbox.decide.facts import Disk, Listener, Reach
from binderbox.member.model import DiskOverrides, Member, Networks
from binderbox.output.results import Word
from binderbox.parts.checks import of
from tests.checks.fakes import FakeProbe, artifact, facts


@pytest.mark.parametrize(
    ("judge", "changes", "verdict", "says"),
    [
        (machine.judge_os, {}, "pass", "debian 12"),
        (machine.judge_os, {"os_version": "11"}, "fail", "debian 12, 13 or ubuntu"),
        (machine.judge_os, {"os_id": "ubuntu", "os_version": "24.04"}, "pass", "ubuntu 24.04"),
        (machine.judge_os, {"os_id": "ubuntu", "os_version": "12"}, "fail", "ubuntu 12"),
        (machine.judge_os, {"os_id": "fedora", "os_version": "42"}, "fail", "fedora 42"),
        (machine.judge_arch, {"arch": "aarch64"}, "fail", "aarch64"),
        (machine.judge_arch, {"arch": "amd64"}, "pass", "amd64"),
        (machine.judge_cpus, {"cpus": 2}, "pass", "2 CPUs"),
        (machine.judge_cpus, {"cpus": 1}, "fail", "needed 2 CPUs"),
        (machine.judge_ram, {"ram_gb": 4.1}, "pass", "4.1 GB"),
        (machine.judge_ram, {"ram_gb": 2.0}, "fail", "2.0 GB"),
        (machine.judge_fsync, {"fsync_ms": 10.0}, "pass", "10.0 ms"),
        (machine.judge_fsync, {"fsync_ms": 44.0}, "warn", "44.0 ms"),
        (machine.judge_fsync, {"fsync_ms": None}, "warn", "not measured"),
        (machine.judge_clock, {"clock_offset_s": 0.9}, "pass", "+0.9 s"),
        (machine.judge_clock, {"clock_offset_s": -1.1}, "fail", "-1.1 s"),
        (machine.judge_clock, {"clock_offset_s": -1.1, "clock_synced": True}, "fail", "UDP port 123"),
        (
            machine.judge_clock,
            {"clock_offset_s": 0.2, "clock_synced": False},
            "warn",
            "not known to be synchronised",
        ),
        (machine.judge_clock, {"clock_offset_s": 0.2, "clock_synced": None}, "warn", "+0.2 s"),
        (machine.judge_clock, {"clock_offset_s": None, "clock_synced": True}, "pass", "offset not measured"),
        (machine.judge_clock, {"clock_offset_s": None, "clock_synced": None}, "warn", "offset not measured"),
        (
            machine.judge_modules,
            {"missing_modules": ("overlay", "nf_tables")},
            "fail",
            "modprobe -a overlay nf_tables",
        ),
        (surroundings.judge_sudo, {"sudo": False}, "fail", "--ask-sudo"),
        (machine.judge_swap, {"swap_gb": 2.1}, "warn", "2.1 GB"),
        (
            surroundings.judge_packages,
            {"missing_packages": ("nftables",)},
            "pass",
            "to be installed: nftables",
        ),
        (
            surroundings.judge_packages,
            {
                "missing_packages": ("nftables",),
                "outbound": (Reach("archive.example.org:80", False, "timed out"),),
            },
            "fail",
            "apt-get install nftables",
        ),
        (surroundings.judge_route, {"address": ""}, "fail", "no default route"),
        (surroundings.judge_route, {"address": "2001:db8::7"}, "fail", "IPv6 alone"),
        (
            traps.judge_resolvers,
            {"own_resolvers": ("127.0.0.53",), "resolvers": ("192.0.2.53",)},
            "pass",
            "127.0.0.53; pods: 192.0.2.53",
        ),
        (
            traps.judge_resolvers,
            {"own_resolvers": ("192.0.2.53",), "resolvers": ("192.0.2.53",), "cgroup_version": 1},
            "pass",
            "192.0.2.53",
        ),
        (
            traps.judge_resolvers,
            {"own_resolvers": ("127.0.0.53",), "resolvers": ("192.0.2.53",), "cgroup_version": 1},
            "fail",
            "one list for both",
        ),
        (
            traps.judge_resolvers,
            {"own_resolvers": ("127.0.0.1",), "resolvers": ("127.0.0.1",)},
            "fail",
            "loopback",
        ),
        (traps.judge_resolvers, {"own_resolvers": ("::1",), "resolvers": ("::1",)}, "fail", "loopback"),
        (traps.judge_resolvers, {"resolvers": ("fe80::1%eth0",)}, "pass", "fe80::1%eth0"),
        (traps.judge_resolvers, {"resolvers": ()}, "fail", "nameserver ADDRESS"),
        (machine.judge_disks, {"disk_gb": 100.0}, "pass", "100 GB for both"),
        (
            machine.judge_disks,
            {"disk_gb": 500.0, "images_disk": Disk(40.0, 30.0)},
            "pass",
            "40 GB for images, 500 GB for the data",
        ),
        (traps.judge_filters, {"filters": ()}, "pass", "none"),
        (traps.judge_filters, {"filters": ("ufw",)}, "fail", "ufw disable"),
        (traps.judge_filters, {"filters": ("firewalld",)}, "fail", "systemctl disable --now firewalld"),
        (traps.judge_filters, {"filters": ("chain inet filter input",)}, "fail", "nftables.conf"),
        (traps.judge_node_name, {"host_name": "vm-1.example.org"}, "pass", "vm-1.example.org"),
        (traps.judge_node_name, {"host_name": "VM1"}, "pass", "vm1"),
        (traps.judge_node_name, {"host_name": "my_host"}, "fail", "hostnamectl set-hostname"),
        (traps.judge_node_name, {"host_name": "-x"}, "fail", "letters"),
        (traps.judge_node_name, {"host_name": "a..b"}, "fail", "letters"),
        (traps.judge_node_name, {"host_name": "x" * 64}, "fail", "at most 63 characters, not 64"),
        (traps.judge_node_name, {"host_name": "localhost"}, "warn", "a name of its own"),
        (
            traps.judge_node_name,
            {"host_name": "my_host", "node_name": "first"},
            "pass",
            "first, as at the first start",
        ),
        (traps.judge_trials, {}, "pass", "programs run"),
        (
            traps.judge_trials,
            {"trials": (("/var/lib/rancher/k3s", "exec", "/var"),)},
            "fail",
            "mount -o remount,exec /var",
        ),
        (
            traps.judge_trials,
            {"trials": (("/var/lib/rancher/k3s", "overlay", "xfs: wrong fs type"),)},
            "fail",
            "ftype=1",
        ),
        (
            traps.judge_trials,
            {"trials": (("/srv/data", "write", "/srv cannot be written"),)},
            "fail",
            "/srv cannot be written",
        ),
        (traps.judge_hidepid, {"hidepid": "2"}, "warn", "remount,hidepid=0"),
        (traps.judge_hidepid, {"hidepid": "invisible"}, "warn", "hidepid=invisible"),
        (traps.judge_hidepid, {"hidepid": "off"}, "pass", "visible"),
        (traps.judge_container, {"container": "lxc"}, "fail", "KVM machine"),
        (traps.judge_container, {"container": "docker"}, "pass", "docker"),
        (traps.judge_container, {"container": "none"}, "pass", "a machine"),
        (traps.judge_selinux, {"selinux": "Enforcing"}, "fail", "setenforce 0"),
        (traps.judge_selinux, {"selinux": "Permissive"}, "pass", "not enforcing"),
        (traps.judge_probes, {"lockdown": "integrity"}, "pass", "integrity"),
        (traps.judge_probes, {"lockdown": "confidentiality"}, "warn", "lockdown=confidentiality out of"),
        (traps.judge_probes, {"missing_options": ("CONFIG_KPROBES",)}, "warn", "CONFIG_KPROBES"),
        (
            traps.judge_probes,
            {"missing_options": ("CONFIG_KPROBES",), "container": "lxc"},
            "pass",
            "container",
        ),
        (traps.judge_ssh, {}, "pass", "allowed"),
        (
            traps.judge_ssh,
            {"sshd": {"maxsessions": "10", "disableforwarding": "no", "allowtcpforwarding": "yes"}},
            "pass",
            "allowed",
        ),
        (traps.judge_ssh, {"sshd": {"disableforwarding": "yes"}}, "fail", "DisableForwarding no"),
        (traps.judge_ssh, {"sshd": {"allowtcpforwarding": "remote"}}, "fail", "AllowTcpForwarding yes"),
        (traps.judge_ssh, {"sshd": {"maxsessions": "2"}}, "fail", "MaxSessions 10"),
    ],
)
def test_what_a_fact_means(judge: Any, changes: dict[str, Any], verdict: Word, says: str) -> None:
    found = judge(facts(**changes))
    assert found.verdict == verdict
    assert says in f"{found.measured} needed {found.needed} {found.fix}"


@pytest.mark.parametrize(
    ("changes", "allowed", "verdict", "says"),
    [
        ({}, (), "pass", "10.42.0.0/16"),
        ({"resolvers": ("10.43.7.7",)}, (), "fail", "10.43.7.7 (a resolver) lies in 10.43.0.0/16 (services)"),
        ({"address": "10.42.9.1"}, (), "fail", "10.42.9.1 (this host's eth0) lies in 10.42.0.0/16 (pods)"),
        ({"resolvers": ("2001:db8::53", "fe80::1%eth0")}, (), "pass", "10.42.0.0/16"),
        (
            {"networks": (("eth1", "10.42.0.200/24"),)},
            (),
            "fail",
            "10.42.0.200/24 (eth1) lies in 10.42.0.0/16 (pods)",
        ),
        (
            {"networks": (("-", "10.44.3.0/24"),)},
            (),
            "fail",
            "10.44.3.0/24 (a route) lies in 10.44.0.0/16 (builds)",
        ),
        ({"networks": (("docker1", "10.43.0.0/16"),)}, (), "fail", "services"),
        ({"networks": (("eth1", "10.0.0.0/8"),)}, (), "warn", "10.0.0.0/8 (eth1) holds 10.42.0.0/16 (pods)"),
        ({"networks": (("eth1", "172.16.0.1"),)}, (), "pass", "10.42.0.0/16"),
        ({}, ("10.42.0.0/24",), "fail", "10.42.0.0/24 (egress_allow)"),
    ],
)
def test_whatever_the_host_reaches_must_not_lie_in_our_networks(
    changes: dict[str, Any], allowed: tuple[str, ...], verdict: Word, says: str
) -> None:
    member = Member(
        domain="binder.example.org", egress_allow=tuple({"network": one, "ports": (443,)} for one in allowed)
    )
    found = surroundings.judge_networks(
        surroundings.look_networks(FakeProbe(facts=facts(interface="eth0", **changes), member=member))
    )
    assert (found.verdict, says in found.measured) == (verdict, True), found


SSH = Listener(22, "tcp", "0.0.0.0", "sshd", 700, "ssh.service")
EXPORTER = Listener(9100, "tcp", "*", "node_exporter", 800, "node-exporter.service")
WIREGUARD = Listener(51820, "udp", "0.0.0.0")


CHOSEN = Networks(pods="172.20.0.0/16", services="172.21.0.0/16", builds="172.22.0.0/16")


@pytest.mark.parametrize(
    ("changes", "networks", "verdict", "says"),
    [
        ({"networks": (("eth1", "10.42.0.200/24"),)}, CHOSEN, "pass", "172.20.0.0/16"),
        ({"networks": (("eth1", "172.22.0.9/24"),)}, CHOSEN, "fail", "lies in 172.22.0.0/16 (builds)"),
        ({"inner_networks": ("172.20.0.0/16", "172.21.0.0/16")}, CHOSEN, "pass", "172.20.0.0/16"),
        ({"inner_networks": ("10.42.0.0/16", "10.43.0.0/16")}, Networks(), "pass", "10.42.0.0/16"),
        (
            {"inner_networks": ("10.42.0.0/16", "10.43.0.0/16")},
            CHOSEN,
            "fail",
            "networks: {pods: 10.42.0.0/16, services: 10.43.0.0/16} in the config",
        ),
    ],
)
def test_networks_are_chosen_before_the_first_start_and_stay(
    changes: dict[str, Any], networks: Networks, verdict: Word, says: str
) -> None:
    member = Member(domain="binder.example.org", networks=networks)
    probe = FakeProbe(facts=facts(interface="eth0", **changes), member=member)
    found = surroundings.judge_networks(surroundings.look_networks(probe))
    assert found.verdict == verdict, found
    assert says in f"{found.measured} needed {found.needed} {found.fix}"


@pytest.mark.parametrize(
    ("changes", "allowed", "verdict", "says"),
    [
        ({}, [], "pass", "nothing but ssh"),
        ({"listeners": (SSH, EXPORTER)}, [], "warn", "9100/tcp (node_exporter) will be closed"),
        (
            {"listeners": (SSH, EXPORTER, WIREGUARD)},
            [],
            "warn",
            "ingress_allow: [{protocol: tcp, ports: [9100]}, {protocol: udp, ports: [51820]}]",
        ),
        ({"listeners": (SSH, EXPORTER)}, [{"ports": (9100,)}], "pass", "nothing"),
        ({"listeners": (SSH, EXPORTER)}, [{"ports": (9100,), "protocol": "udp"}], "warn", "9100/tcp"),
        ({"listeners": (SSH, Listener(25, "tcp", "127.0.0.1", "exim4"))}, [], "pass", "nothing"),
        ({"listeners": (SSH, Listener(53, "udp", "::1"))}, [], "pass", "nothing"),
        ({"listeners": (SSH, Listener(68, "udp", "0.0.0.0", "dhclient"))}, [], "pass", "nothing"),
        ({"listeners": (SSH, Listener(40123, "udp", "0.0.0.0", "chronyd"))}, [], "pass", "nothing"),
        (
            {"listeners": (SSH, Listener(2222, "tcp", "::", "sshd")), "ssh_ports": (22, 2222)},
            [],
            "pass",
            "ssh",
        ),
        (
            {
                "listeners": (SSH, Listener(10250, "tcp", "*", "k3s-server", 9, "k3s.service")),
                "installed_units": ("k3s.service",),
            },
            [],
            "pass",
            "nothing",
        ),
        (
            {"listeners": (SSH, WIREGUARD), "ssh_tunnel": "wg0"},
            [],
            "fail",
            "the port of wg0, by which ssh comes",
        ),
        (
            {"listeners": (SSH, WIREGUARD), "ssh_tunnel": "wg0"},
            [{"ports": (51820,), "protocol": "udp"}],
            "pass",
            "ssh",
        ),
        ({"listeners": (SSH, EXPORTER), "ssh_tunnel": "wg0"}, [], "warn", "9100/tcp"),
    ],
)
def test_what_others_reach_and_will_not_any_more_is_named(
    changes: dict[str, Any], allowed: list[dict[str, Any]], verdict: Word, says: str
) -> None:
    member = Member(domain="binder.example.org", ingress_allow=tuple(allowed))
    probe = FakeProbe(facts=facts(**changes), member=member)
    found = surroundings.judge_closed(surroundings.look_closed(probe))
    assert found.verdict == verdict, found
    assert says in f"{found.measured} needed {found.needed} {found.fix}"


@pytest.mark.parametrize(
    ("cgroups", "version", "features", "verdict"),
    [
        (2, "v1.36.4+k3s1", (), "pass"),
        (1, "v1.36.4+k3s1", (), "fail"),
        (1, "v1.35.0+k3s1", (), "fail"),
        (1, "v1.34.9+k3s1", (), "warn"),
        (1, "1.36.3", ("cgroup-v1",), "warn"),
        (1, "main", (), "fail"),
    ],
)
def test_cgroups_are_judged_by_the_kubernetes_that_comes(
    cgroups: int, version: str, features: tuple[str, ...], verdict: Word
) -> None:
    found = machine.Cgroups(cgroups, artifact("k3s", version, features=features))
    assert machine.judge_cgroups(found).verdict == verdict


def ports(*listeners: Listener, **changes: Any) -> Any:
    probe = FakeProbe(facts=facts(listeners=listeners, **changes))
    return surroundings.judge_ports(surroundings.look_ports(probe))


def test_a_taken_port_is_told_with_its_owner_and_a_fix() -> None:
    verdict = ports(
        Listener(443, "tcp", "0.0.0.0", "apache2", 1, "apache2.service"),
        Listener(443, "tcp6", "::", "apache2", 1, "apache2.service"),
        Listener(80, "tcp", "0.0.0.0", "apache2", 1, "apache2.service"),
    )
    assert verdict.verdict == "fail"
    assert verdict.measured == (
        "port 80 is held by apache2 (apache2.service); port 443 is held by apache2 (apache2.service)"
    )
    assert verdict.needed == "port 80 for the ingress; port 443 for the ingress"
    assert verdict.fix == "systemctl disable --now apache2.service"


def test_our_own_parts_hold_their_ports_on_a_second_run() -> None:
    ours = (
        Listener(6443, "tcp6", "::", "k3s", 5, "k3s.service"),
        Listener(10250, "tcp6", "::", "k3s", 5, "k3s.service"),
        Listener(443, "tcp6", "::", "traefik", 9, "kubepods-burstable.slice"),
    )
    assert ports(*ours, installed_units=("k3s.service",)).verdict == "pass"
    assert ports(*ours).verdict == "fail"


def test_ports_that_nobody_needs_and_udp_do_not_matter() -> None:
    assert ports(Listener(8080, "tcp", owner="tomcat"), Listener(443, "udp", owner="caddy")).verdict == "pass"


def test_an_unknown_owner_is_told_as_such() -> None:
    verdict = ports(Listener(6443, "tcp"))
    assert verdict.measured == "port 6443 is held by an unknown process"
    assert verdict.fix == "stop what holds them (ss -ltnp)"


def run(check_id: str, probe: FakeProbe) -> Any:
    (result,) = run_checks([check for check in of("host") if check.id == check_id], probe)
    return result


def test_other_ports_of_the_config_are_the_ones_that_are_looked_at() -> None:
    member = Member(domain="demo.test", https_port=8443, http_port=8080, tls="own-ca")
    taken = facts(listeners=(Listener(8443, "tcp", owner="java"), Listener(443, "tcp", owner="apache2")))
    assert run("BBX-H10", FakeProbe(facts=taken, member=member)).measured == "port 8443 is held by java"


def test_a_small_disk_is_measured_against_what_is_needed() -> None:
    result = run("BBX-H05", FakeProbe(facts=facts(disk_gb=20.0, disk_free_gb=14.0)))
    assert (result.verdict, result.needed) == ("fail", "20 GB")
    assert "14.0 GB usable" in result.measured


def test_ceilings_that_exceed_the_disk_are_a_fault_of_the_config() -> None:
    member = Member(domain="binder.example.org", disk=DiskOverrides(images_gb=500))
    assert "ceilings of the config" in run("BBX-H05", FakeProbe(member=member)).measured


def test_sizes_of_the_config_that_do_not_fit_are_told_together() -> None:
    member = Member(domain="binder.example.org", build_memory_gb=15.9, quota=900, pods=950)
    result = run("BBX-H19", FakeProbe(member=member, facts=facts(ram_gb=8.0)))
    assert result.verdict == "fail"
    assert "build_memory_gb" in result.measured


def test_reach_is_skipped_offline_and_only_warned_about_with_a_bundle() -> None:
    lost = facts(outbound=(Reach("github.com:443", True), Reach("pypi.org:443", False, "timed out")))
    offline = Member(domain="binder.example.org", offline=True)
    assert run("BBX-H12", FakeProbe(facts=lost, member=offline)).verdict == "skip"
    result = run("BBX-H12", FakeProbe(facts=lost))
    assert (result.verdict, result.measured) == ("fail", "pypi.org:443: timed out")
    bundled = {"k3s": artifact("k3s", file="k3s")}
    assert run("BBX-H12", FakeProbe(facts=lost, artifacts=bundled)).verdict == "warn"


def test_another_kubernetes_is_refused_and_our_own_is_not() -> None:
    there: dict[str, Any] = {"installed_units": ("k3s.service",)}
    assert run("BBX-H14", FakeProbe(facts=facts(**there))).measured == "k3s.service"
    assert run("BBX-H14", FakeProbe(facts=facts(**there, begun=True))).verdict == "pass"
    kubeadm = facts(**there, begun=True, other_units={"kubelet.service": "failed"})
    assert run("BBX-H14", FakeProbe(facts=kubeadm)).verdict == "fail"


def test_docker_is_only_a_warning_and_only_when_it_runs() -> None:
    def probe(active: str) -> FakeProbe:
        return FakeProbe(facts=facts(other_units={"docker.service": active}))

    assert run("BBX-H15", probe("active")).verdict == "warn"
    assert run("BBX-H15", probe("inactive")).verdict == "pass"


def test_what_is_asked_of_the_host_itself_is_asked_by_the_one_look() -> None:
    """A host far away takes 0.3 s for each question; GitHub alone is asked from there, while names are asked here."""

    class Asked(FakeProbe):
        def __getattribute__(self, name: str) -> Any:
            if name in ("unit", "files", "journal", "sysctl", "nft_tables", "kubectl_json", "watched"):
                raise AssertionError(f"{name} is one more round trip")
            return super().__getattribute__(name)

    found = run_checks(of("host", "dns"), Asked(calls=Calls(57, 60)))
    assert not [one for one in found if "round trip" in one.measured]


def test_missing_github_credentials_tell_the_calls_left() -> None:
    result = run("BBX-H20", FakeProbe(calls=Calls(57, 60)))
    assert (result.verdict, result.measured) == ("warn", "no credentials; 57 of 60 calls left this hour")
    assert "binderbox secrets set host.example github-client-id" in result.fix
    assert "60 calls an hour" in run("BBX-H20", FakeProbe()).needed
    assert "GitHub did not answer" in run("BBX-H20", FakeProbe()).measured
    given = facts(secrets=("github-client-id", "github-client-secret"))
    assert run("BBX-H20", FakeProbe(facts=given)).verdict == "pass"
    offline = Member(domain="binder.example.org", offline=True)
    assert run("BBX-H20", FakeProbe(member=offline)).verdict == "skip"
