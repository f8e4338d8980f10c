"""Facts from one look at the host, here and from recorded output."""

import base64
import json
import os
import socket
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from binderbox.decide.drain import Drain
from binderbox.decide.facts import Disk, Listener, make_facts
from binderbox.world.host.gather import gather, parse_sections, split_sections
from binderbox.world.host.hosts import Host
from binderbox.world.host.sockets import parse_listeners, parse_proc_net, unit_of

RECORDED = (Path(__file__).parent / "gathered.txt").read_text()


def test_this_machine_is_seen_in_one_round_trip_and_left_as_it_was(host: Host, directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port, closed = server.getsockname()[1], free.getsockname()[1]
        before = host.round_trips
        facts = make_facts(
            gather(
                host, targets=[f"127.0.0.1:{port}", f"127.0.0.1:{closed}"], data_dir=f"{directory}/not/yet"
            )
        )
        assert host.round_trips - before == 1
    assert facts.cpus == os.cpu_count()
    assert facts.kernel == os.uname().release
    assert abs(facts.ram_gb - os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9) < 0.1
    assert facts.clock_offset_s is not None
    assert abs(facts.clock_offset_s) < 0.5
    assert facts.fsync_ms is not None
    assert 0 < facts.fsync_ms < 1000
    assert port in [one.port for one in facts.listeners]
    reached = {one.target: one for one in facts.outbound}
    assert reached[f"127.0.0.1:{port}"].ok
    assert reached[f"127.0.0.1:{closed}"].error == "Connection refused"
    assert sorted(os.listdir(directory)) == ["logs"]


def test_a_recorded_host_with_everything_on_it() -> None:
    facts = make_facts(
        {"name": "box", "sudo": True, "clock_offset_s": 0.0, **parse_sections(split_sections(RECORDED))}
    )
    assert (facts.os_id, facts.os_version, facts.cpus, facts.ram_gb, facts.swap_gb) == (
        "debian",
        "12",
        4,
        16.78,
        1.02,
    )
    assert (facts.disk_gb, facts.disk_free_gb, facts.ours_gb) == (105.0, 60.0, 12.0)
    assert (facts.fsync_ms, facts.clock_synced, facts.cgroup_version) == (0.61, True, 2)
    assert facts.missing_modules == ("br_netfilter",)
    assert facts.missing_packages == tuple(
        name for name in facts.missing_packages if name not in ("curl", "python3")
    )
    assert "socat" in facts.missing_packages
    assert facts.listeners[0] == Listener(22, "tcp", "0.0.0.0", "sshd", 612, "ssh.service")
    assert facts.listeners[1] == Listener(443, "tcp", "*", "traefik", 900, "cri-containerd-0a1b.scope")
    assert facts.listeners[2] == Listener(
        53, "udp", "127.0.0.53", "systemd-resolve", 400, "systemd-resolved.service"
    )
    assert facts.ssh_ports == (22, 2222)
    assert (facts.address, facts.interface, facts.mtu) == ("203.0.113.7", "eth0", 1460)
    assert facts.addresses == ("203.0.113.7", "2001:db8::7")
    assert facts.own_resolvers == ("127.0.0.53",)
    assert facts.resolvers == ("192.0.2.53", "2001:db8::53")
    assert [(one.target, one.ok, one.error) for one in facts.outbound] == [
        ("archive.example.org:80", True, ""),
        ("ghcr.io:443", False, "no answer within 3 s"),
        ("nosuch.example:443", False, "Name or service not known"),
    ]
    assert (facts.secrets, facts.installed_units) == (("ca.key", "token"), ("k3s.service",))
    assert facts.applied is not None
    assert (facts.applied.text, facts.applied.who, facts.recorded_other_gb) == (
        "domain: box.example\n",
        "me@laptop",
        5.0,
    )
    assert (facts.followed, facts.bundle_sha256) == ("[pins]\n", "ab" * 32)
    assert facts.drain == Drain("new disk", since="2026-01-01T00:00:00+00:00")
    assert (facts.host_name, facts.node_name) == ("box.example", "box")
    assert facts.networks == (
        ("eth0", "203.0.113.7/24"),
        ("eth1", "10.1.2.3/16"),
        ("eth1", "10.1.0.0/16"),
        ("-", "192.0.2.1"),
    )
    assert facts.filters == ("ufw", "chain inet filter input")
    assert (facts.hidepid, facts.container, facts.selinux) == ("2", "none", "")
    assert facts.apparmor
    assert (facts.lockdown, facts.missing_options) == ("integrity", ("CONFIG_BPF_EVENTS",))
    assert facts.sshd["maxsessions"] == "10"
    assert facts.trials == (("/var/lib/rancher/k3s", "exec", "/var"),)


def test_file_systems_of_their_own_are_told_apart_with_what_is_ours_on_each() -> None:
    row = "65024 /dev/vda1 105000000000 45000000000 60000000000 43% /"
    assert RECORDED.count(row) == 3
    apart = RECORDED.replace(row, "2049 /dev/sdb1 500000000000 1000000000 499000000000 1% /srv", 1)
    apart = apart.replace(
        f"{row}\n\n", "64769 /dev/vda2 40000000000 8000000000 32000000000 20% /var/lib/kubelet\n\n"
    )
    facts = make_facts(
        {"name": "box", "sudo": True, "clock_offset_s": 0.0, **parse_sections(split_sections(apart))}
    )
    assert (facts.disk_gb, facts.disk_free_gb, facts.ours_gb, facts.recorded_other_gb) == (500, 499, 2, None)
    assert facts.images_disk == Disk(105, 60, 10, 5.0)
    assert facts.node_disk == Disk(40, 32, 0)


@pytest.mark.parametrize("number", ["54", "65024"])
def test_an_overlay_or_a_subvolume_on_the_same_disk_is_no_other_one(number: str) -> None:
    row = "65024 /dev/vda1 105000000000 45000000000 60000000000 43% /"
    over = RECORDED.replace(row, f"{number} overlay 105000000000 45000001000 59999999000 43% /", 1)
    facts = make_facts(
        {"name": "box", "sudo": True, "clock_offset_s": 0.0, **parse_sections(split_sections(over))}
    )
    assert (facts.images_disk, facts.node_disk, facts.ours_gb) == (None, None, 12)


def test_two_fresh_disks_of_one_size_are_two() -> None:
    row = "65024 /dev/vda1 105000000000 45000000000 60000000000 43% /"
    twin = RECORDED.replace(row, "2049 /dev/sdb1 105000000000 45000000000 60000000000 43% /srv", 1)
    facts = make_facts(
        {"name": "box", "sudo": True, "clock_offset_s": 0.0, **parse_sections(split_sections(twin))}
    )
    assert facts.images_disk is not None


def test_a_drain_cut_off_by_a_power_cut_is_still_one() -> None:
    head, _, rest = RECORDED.partition("== drain\nthere\n")
    raw = {"name": "box", "sudo": True, "clock_offset_s": 0.0}
    empty = make_facts(
        {**raw, **parse_sections(split_sections(head + "== drain\nthere\n" + rest.partition("\n")[2]))}
    )
    assert empty.drain is not None
    never = make_facts(
        {**raw, **parse_sections(split_sections(head + "== drain\n" + rest.partition("\n")[2]))}
    )
    assert never.drain is None


def test_a_disk_too_large_to_measure_in_time_counts_what_others_had_at_first() -> None:
    without = RECORDED.replace("12000000000\ttotal\n", "")
    assert parse_sections(split_sections(without))["ours_gb"] == pytest.approx(40.0)


def measured_by_the_job(text: str) -> str:
    du = RECORDED[RECORDED.index("== ours\n") : RECORDED.index("total\n") + len("total\n")]
    return RECORDED.replace(du, f"== ours\n{base64.b64encode(text.encode()).decode()}\n")


def test_what_the_disks_job_has_measured_is_not_summed_again() -> None:
    told = measured_by_the_job(json.dumps({"other_bytes": {"images": 30_500_000_000}}))
    assert parse_sections(split_sections(told))["ours_gb"] == pytest.approx(14.5)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"other_bytes": 3}', '{"other_bytes": {"images": "?"}}']
)
def test_a_job_that_tells_nothing_counts_what_others_had_at_first(text: str) -> None:
    assert parse_sections(split_sections(measured_by_the_job(text)))["ours_gb"] == pytest.approx(40.0)


def test_a_record_cut_off_by_a_power_cut_does_not_stop_anything() -> None:
    cut = RECORDED.replace('"when"', '"wh')
    assert parse_sections(split_sections(cut))["applied"] == {"text": "domain: box.example\n"}


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/system.slice/nginx.service", "nginx.service"),
        ("/user.slice/user-0.slice/session-3.scope", "session-3.scope"),
        ("/kubepods/burstable/pod12/ab", "kubepods"),
        ("/", ""),
    ],
)
def test_a_process_belongs_to_its_deepest_unit(path: str, unit: str) -> None:
    assert unit_of(path) == unit


def test_without_ss_the_kernels_own_table_tells_the_ports() -> None:
    lines = [
        "tcp   sl  local_address rem_address   st tx_queue rx_queue",
        "tcp    0: 0100007F:1F90 00000000:0000 0A 00000000:00000000",
        "tcp    1: 0100007F:1F91 0100007F:0050 01 00000000:00000000",
        "tcp6    0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A",
    ]
    assert [(one["port"], one["proto"], one["address"]) for one in parse_proc_net(lines)] == [
        (8080, "tcp", "127.0.0.1"),
        (443, "tcp", "::"),
    ]


def test_a_listener_without_a_visible_process_has_no_owner() -> None:
    (one,) = parse_listeners(["tcp LISTEN 0 128 [::]:2049 [::]:*"], [])
    assert (one["port"], one["address"], one["owner"], one["pid"]) == (2049, "::", "", None)


def test_a_process_that_ended_between_the_two_looks_holds_no_port() -> None:
    lines = [
        'tcp LISTEN 0 128 *:10256 *:* users:(("k3s",pid=7,fd=3))',
        'tcp LISTEN 0 128 *:443 *:* users:(("apache2",pid=8,fd=3))',
        'tcp LISTEN 0 128 *:25 *:* users:(("master",pid=9,fd=3))',
    ]
    found = parse_listeners(lines, ["7 ", "8 /system.slice/apache2.service", "9 /"])
    assert [(one["port"], one["unit"]) for one in found] == [(443, "apache2.service"), (25, "")]


def test_the_look_is_taken_again_when_a_process_ended_in_it(host: Host, directory: Path) -> None:
    """An `ss` that names a process which is gone, and at the next look the one that came after it."""
    seen = directory / "seen"
    ss = directory / "ss"
    ss.write_text(
        f"#!/bin/sh\nif [ -e {seen} ]; then pid={os.getpid()}; else pid=4194999; touch {seen}; fi\n"
        """echo "tcp LISTEN 0 128 *:10256 *:* users:((\\"k3s\\",pid=$pid,fd=3))"\n"""
    )
    ss.chmod(0o755)
    script = (
        'section() { echo "== $1"; }\n'
        + (
            files("binderbox.world.host")
            .joinpath("gather-surroundings.sh")
            .read_text()
            .partition("section ssh\n")[0]
        )
    )
    told = subprocess.run(
        ["sh", "-c", script],
        env={"PATH": f"{directory}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = split_sections(told.stdout)
    (one,) = parse_listeners(found["listeners"], found["owners"])
    assert (one["port"], one["pid"]) == (10256, os.getpid())
