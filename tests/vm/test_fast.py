"""What of a member needs no Kubernetes, on a machine of its own: firewall, limits of builds, callers of the door, settings.

One machine for all: prepared by the product's own first phase, and rebooted.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from binderbox import layout
from binderbox.commands import phases
from binderbox.commands.connect import look, opened, planned
from binderbox.output.progress import Progress
from binderbox.output.requests import Connection, Sources
from binderbox.parts.builder import units
from binderbox.parts.builder.settings import SCOPE_LIMITS, BuilderInputs
from binderbox.plan import Plan
from tests.places import ROOT
from tests.rig.bundle import bundle
from tests.rig.client import render_member
from tests.rig.given import given_host
from tests.rig.vm import VmHost
from tests.vm.conftest import Machine

pytestmark = pytest.mark.timeout(600)
POD = "12345678-90ab-cdef-1234-567890abcdef"
CONTAINER = "ab" * 32
SCOPE = f"cri-containerd-{CONTAINER}.scope"
POD_SLICE = f"kubepods-burstable-pod{POD.replace('-', '_')}.slice"
# $1: unix socket. Prints what the door makes of whoever connects first.
DOOR = f"""
import socket, sys, time
sys.path.insert(0, "{layout.RUN}/under-test")
from binderbox.parts.builder.door import caller
from binderbox.parts.builder.door.refusal import Refused
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen()
print("listening", flush=True)
connection, _ = listening.accept()
try:
    print(caller.identify(connection, time.clock_gettime(time.CLOCK_BOOTTIME))[1])
except Refused as refused:
    print("refused:", refused.reason, refused)
"""
KNOCK = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.recv(1)"
# $1 how a process is put where it knocks from; the scope is made by systemd, as containerd has it made.
CALL = """
rm -f /run/knock /run/door.out
python3 -B /run/door.py /run/knock > /run/door.out 2>&1 &
for _ in $(seq 100); do grep -q listening /run/door.out && break; sleep 0.1; done
$1 >/dev/null 2>&1 || true
wait
tail -n 1 /run/door.out
"""
IN_SCOPE = f"systemd-run -q --scope --slice={POD_SLICE} --unit={SCOPE}"
KNOCKING = "python3 -B /run/knock.py /run/knock"


class Silent(Progress):
    pass


@dataclass
class Prepared:
    host: Machine
    plan: Plan

    def sh(self, script: str, *args: str) -> str:
        return self.host.exec(["sh", "-c", script, "sh", *args], timeout_s=300)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    host = given_host() or VmHost.start("fast", run_id=secrets.token_hex(3))
    config = tmp_path_factory.mktemp("fast") / "member.yaml"
    config.write_text(render_member({}))
    found = bundle()
    sources = Sources(config, found.path, found.lock_sha256)
    try:
        with opened(Connection(host.alias, host.ssh_config), sources) as there:
            _, plan = planned(look(there, sources), sources)
            phases.run(phases.INSTALL[:1], there, plan, None, Silent(), lambda step: None)
        host.reboot()
        yield Prepared(host, plan)
    finally:
        host.stop()


def test_it_is_a_machine_of_its_own(prepared: Prepared) -> None:
    assert prepared.sh("stat -fc %T /sys/fs/cgroup").strip() == "cgroup2fs"
    assert prepared.sh("cat /sys/module/apparmor/parameters/enabled").strip() == "Y"
    assert prepared.sh("systemctl --failed --no-legend --plain").strip() == ""


def test_the_firewall_is_there_before_the_network(prepared: Prepared) -> None:
    """Between the two a node would be open; a cycle of units would have one of them dropped."""
    at = {
        unit: int(prepared.sh(f"systemctl show -P ActiveEnterTimestampMonotonic {unit}"))
        for unit in (layout.FIREWALL_UNIT, "systemd-networkd.service", "ssh.service")
    }
    assert 0 < at[layout.FIREWALL_UNIT] == min(at.values())
    assert "table inet binderbox" in prepared.sh("nft list tables").splitlines()
    assert prepared.sh("journalctl -b --no-pager | grep -c 'ordering cycle' || true").strip() == "0"


def test_settings_of_the_kernel_are_in_force_after_a_reboot(prepared: Prepared) -> None:
    wanted = prepared.plan.sysctls
    assert wanted
    found = prepared.sh('for one in "$@"; do sysctl -n "$one"; done', *wanted).split()
    assert dict(zip(wanted, map(int, found), strict=True)) == dict(wanted)


def test_builds_are_held_by_the_slice_and_each_step_by_its_scope(prepared: Prepared) -> None:
    inputs = prepared.plan.builder
    for path, text in {
        f"{layout.SYSTEMD}/{layout.BUILDS_SLICE}": units.render_slice(inputs),
        SCOPE_LIMITS: units.render_scope_limits(inputs),
    }.items():
        prepared.host.exec(["install", "-D", "-m", "644", "/dev/stdin", path], stdin=text.encode())
    look_at = "cd /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup); cat memory.max memory.swap.max pids.max ../memory.max; pwd"
    said = prepared.sh(
        f"systemctl daemon-reload; systemd-run -q --scope --slice={layout.BUILDS_SLICE} --unit=bbx-{uuid.uuid4().hex}"
        f" sh -c '{look_at}'"
    ).split()
    step, all_builds = inputs.build_step_memory_gb * 1e9, inputs.build_memory_gb * 1e9
    assert abs(int(said[0]) - step) <= 4096
    assert said[1:3] == ["0", str(units.STEP_TASKS)]
    assert abs(int(said[3]) - all_builds) <= 4096
    assert said[4].startswith(f"/sys/fs/cgroup/binderbox.slice/{layout.BUILDS_SLICE}/bbx-")


def test_a_step_over_its_memory_is_ended(prepared: Prepared) -> None:
    eat = "a = []\nwhile True: a.append(bytearray(b'x') * 10**7)"
    limits = "-p MemoryMax=100M -p MemorySwapMax=0"
    said = prepared.sh(f'systemd-run -q --scope {limits} python3 -c "$1" >/dev/null 2>&1; echo $?', eat)
    assert said.strip() == "137"


@pytest.fixture(scope="module")
def door(prepared: Prepared) -> Prepared:
    sources = ROOT / "binderbox" / "parts" / "builder" / "door"
    for path in (*sources.glob("*.py"), ROOT / "binderbox" / "__init__.py"):
        there = f"{layout.RUN}/under-test/{path.relative_to(ROOT)}"
        prepared.host.exec(["install", "-D", "-m", "644", "/dev/stdin", there], stdin=path.read_bytes())
    for name, text in {"door.py": DOOR, "knock.py": KNOCK}.items():
        prepared.host.exec(["install", "-m", "644", "/dev/stdin", f"/run/{name}"], stdin=text.encode())
    return prepared


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (KNOCKING, "refused: not-a-pod"),
        (f"{IN_SCOPE} {KNOCKING}", "a process of the host"),
        (f"{IN_SCOPE} unshare --pid --fork {KNOCKING}", f"PodProcess(uid='{POD}', container_id='{CONTAINER}')"),
    ],
    ids=["a process of the host", "one that was put into a pod's scope", "a process of a pod"],
)  # fmt: skip
def test_the_door_knows_its_callers(door: Prepared, how: str, said: str) -> None:
    assert said in door.sh(CALL, how)


ASK = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)
except OSError as error:
    print(type(error).__name__)
else:
    print("reached")
"""
RESOLVE = "import socket; print(socket.getaddrinfo('deb.debian.org', 80)[0][4][0])"
LISTEN = "import socket, time; s = [socket.create_server(('0.0.0.0', port)) for port in (8081, 9418)]; time.sleep(120)"
PUBLIC = "9.9.9.9"  # here on the loopback alone
METADATA = "169.254.169.254"


def as_buildkitd(prepared: Prepared, inputs: BuilderInputs, *words: str, bpf: bool = True) -> str:
    """What a program says that runs under buildkitd's limits: its name, its rules and, where there is BPF, its address lists."""
    text = units.render_buildkitd_unit(inputs)
    kinds = ("IPAddress", "ExecStartPre") if bpf else ("ExecStartPre",)
    limits = [line for line in text.splitlines() if line.startswith(kinds)]
    assert len(limits) == (3 if bpf else 1)
    script, *arguments = words
    unit = ["[Service]", "Type=oneshot", *limits, "StandardOutput=file:/run/said"]
    unit += [f"ExecStart=/usr/bin/python3 /run/asks.py {' '.join(arguments)}", ""]
    for path, content in {
        layout.FETCHES_FILE: units.render_fetches(inputs),
        "/run/asks.py": script,
        f"/run/systemd/system/{layout.BUILDKITD_UNIT}": "\n".join(unit),
    }.items():
        prepared.host.exec(["install", "-D", "-m", "600", "/dev/stdin", path], stdin=content.encode())
    return prepared.sh(
        f"rm -f /run/said; systemctl daemon-reload; systemctl start {layout.BUILDKITD_UNIT}; cat /run/said"
    ).strip()


def test_a_fetch_goes_where_the_unit_lets_it_and_nowhere_else(prepared: Prepared) -> None:
    """buildkitd's own requests leave from the host: by BPF no address of ours, and at a resolver's nothing but names."""
    prepared.sh(f"ip address replace {METADATA}/32 dev lo; ip address replace 10.99.0.1/32 dev lo")
    prepared.host.exec(
        ["systemd-run", "-q", "--collect", f"--unit=target-{uuid.uuid4().hex[:8]}", "python3", "-c", LISTEN]
    )
    inputs = prepared.plan.builder
    assert inputs.resolvers == ("127.0.0.53",)  # resolved's stub, as cloud images have it
    for target in (METADATA, "10.99.0.1", "127.0.0.1", "127.0.0.53"):
        assert prepared.host.exec(["python3", "-c", ASK, target, "8081"]).strip() == "reached"
        assert as_buildkitd(prepared, inputs, ASK, target, "8081") != "reached", target
    assert as_buildkitd(prepared, inputs, ASK, "127.0.0.53", "53") == "reached"
    assert as_buildkitd(prepared, inputs, RESOLVE)


def test_without_bpf_it_goes_to_the_same_places_and_on_no_other_port(prepared: Prepared) -> None:
    """A systemd that was built without BPF takes the unit's address list and does nothing."""
    prepared.sh(f"for one in {METADATA} 10.99.0.1 {PUBLIC}; do ip address replace $one/32 dev lo; done")
    prepared.host.exec(
        ["systemd-run", "-q", "--collect", f"--unit=target-{uuid.uuid4().hex[:8]}", "python3", "-c", LISTEN]
    )
    inputs = prepared.plan.builder
    for target in (METADATA, "10.99.0.1", "127.0.0.1", PUBLIC):
        assert prepared.host.exec(["python3", "-c", ASK, target, "8081"]).strip() == "reached"
        assert as_buildkitd(prepared, inputs, ASK, target, "8081", bpf=False) != "reached", target
    for target, said in ((PUBLIC, "reached"), ("10.99.0.1", "ConnectionRefusedError")):
        assert as_buildkitd(prepared, inputs, ASK, target, "9418", bpf=False) == said


def test_a_resolver_at_the_metadata_address_opens_nothing_else_there(prepared: Prepared) -> None:
    inputs = replace(prepared.plan.builder, resolvers=(METADATA,))
    assert prepared.host.exec(["python3", "-c", ASK, METADATA, "8081"]).strip() == "reached"
    assert as_buildkitd(prepared, inputs, ASK, METADATA, "8081") == "ConnectionRefusedError"
    assert as_buildkitd(prepared, inputs, ASK, METADATA, "53") in ("ConnectionRefusedError", "reached")

    prepared.sh("nft flush ruleset")
    try:
        assert (
            prepared.sh("nft list tables") == "table inet binderbox-backstop\ntable inet binderbox-fetches\n"
        )
        assert as_buildkitd(prepared, inputs, ASK, METADATA, "8081") == "ConnectionRefusedError"
    finally:
        prepared.sh(f"systemctl reload {layout.FIREWALL_UNIT}")


def test_what_the_journal_keeps_survives_a_power_cut(prepared: Prepared) -> None:
    mark = uuid.uuid4().hex
    prepared.sh(f"logger {mark}; journalctl --sync; sync")
    prepared.host.reboot(power_cut=True)
    assert mark in prepared.sh("journalctl -b -1 --no-pager -o cat | tail -n 50")
    assert "table inet binderbox" in prepared.sh("nft list tables").splitlines()
    assert prepared.sh("journalctl -k --no-pager | grep -c 'EXT4-fs error' || true").strip() == "0"
