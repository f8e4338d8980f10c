"""A member on a machine of its own: cgroup v2, AppArmor, a boot order, power cuts. Stages, each from a saved disk.

    install -> launch, resolver, power_cut, drain, abusers, strangers, uninstall

`make test-vm` runs all of them, `make test-vm STAGE=drain` one. The same file runs on a machine that is given
(tests/rig/given.py); it then goes through the stages on that one machine.
"""

from __future__ import annotations

import json
import random
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from binderbox import layout
from binderbox.errors import StepFailed
from binderbox.member.model import Networks
from tests.e2e.federated import pods, serve_repository, serve_slow_repository
from tests.e2e.test_follow import gateway, step
from tests.e2e.test_uninstall import everything
from tests.federation.deployment import Deployment, trust_store
from tests.hostile.contexts import CONTEXTS
from tests.hostile.dockerfiles import DOCKERFILES
from tests.hostile.endless import Endless
from tests.hostile.networks import NETWORKS
from tests.hostile.repository import Repository
from tests.hostile.steps import STEPS
from tests.hostile.test_hostile import Scene, conditions, hostile, more_slots, pressure, put
from tests.parts.builder.test_holding import tasks
from tests.parts.builder.test_on_host import Ended, Node
from tests.parts.builder.test_shares import SHARE, measured_share
from tests.rig import images
from tests.rig.client import Finished, install_arguments, render_member
from tests.rig.internet import REGISTRY, Internet
from tests.rig.vm import VmHost
from tests.vm.cloud import CREDENTIAL, METADATA, cloud_around, one_more_address
from tests.vm.conftest import Machine, Slow, product, stage_disk
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(150 * 60)
SEED = 11
WELL_S = 1800
INSTALLED = "installed"
SERVER = "10.98.98.1"  # this machine, for a machine behind QEMU's own network
BASE = f"{REGISTRY}/base:1"
CLOSED = """\
import socket, sys
with socket.socket() as asked:
    asked.settimeout(5)
    assert asked.connect_ex((sys.argv[1], 80)) != 0
"""


def healthy(slow: Slow, host: Machine) -> bool:
    return slow.binderbox(host, "check", "--json").code == 0


def well_after_boot(slow: Slow, host: Machine) -> None:
    """The member of the saved disk, which may be one of an older binderbox."""
    made_by = stage_disk(INSTALLED) / "product"
    if not made_by.exists() or made_by.read_text() != product():
        slow.install(host, "--json").must()
    wait_until(lambda: healthy(slow, host), WELL_S, "the member after a boot")


def no_change(slow: Slow, host: Machine) -> None:
    assert slow.install(host, "--json").must().result["changed"] == []


def no_failed_unit(host: Machine) -> None:
    assert host.exec(["systemctl", "--failed", "--no-legend", "--plain"]).split("\n") == [""]


def packages(host: Machine) -> None:
    """An install brings them, and an uninstall leaves them: a comparison must not see that."""
    script = f"export DEBIAN_FRONTEND=noninteractive; apt-get -qq update && apt-get -qq install -y --no-install-recommends {' '.join(layout.PACKAGES)} linux-headers-$(uname -r)"
    host.exec(["sh", "-c", script], timeout_s=3600)


def cut_power(host: Machine) -> None:
    """Take the machine's power, look at its file system as the cut left it, and start it again."""
    if not isinstance(host, VmHost):
        host.reboot(power_cut=True)
        return
    host.power_cut()
    assert host.file_system_faults() == ""
    host.power_on()


def cut_in_the_first_install(slow: Slow, host: Machine) -> None:
    """At some moment of the phase that does most; the same command then goes on."""
    config = slow.home / f"{host.alias}.yaml"
    config.write_text(render_member({}), encoding="utf-8")
    process = slow.start(host, "install", *install_arguments(config), "--json")  # type: ignore[arg-type]
    with process, ThreadPoolExecutor(2) as readers:
        assert process.stdout
        assert process.stderr
        readers.submit(process.stderr.read)
        for line in process.stdout:
            said = json.loads(line)
            if said.get("event") == "started" and said.get("title") == "Start k3s":
                break
        readers.submit(process.stdout.read)
        time.sleep(random.Random(SEED).uniform(20, 120))
        cut_power(host)
        assert process.wait(600) != 0


def test_install(machine: Callable[[str | None], Machine], slow: Slow) -> None:
    """A bare machine to a member; the same command changes nothing, nor does it after a reboot."""
    host = machine(None)
    assert host.exec(["stat", "-fc", "%T", "/sys/fs/cgroup"]).strip() == "cgroup2fs"
    packages(host)
    host.reboot()
    before = everything(host)  # type: ignore[arg-type]
    cut_in_the_first_install(slow, host)
    installed = slow.install(host, "--json").must().result
    print([(one["title"], round(one.get("seconds", 0))) for one in installed["phases"]], flush=True)
    no_change(slow, host)
    host.reboot()
    wait_until(lambda: healthy(slow, host), WELL_S, "the member after a reboot")
    no_change(slow, host)
    no_failed_unit(host)
    denied = host.exec(["sh", "-c", "journalctl -k --no-pager | grep -c 'apparmor=\"DENIED\"' || true"])
    assert denied.strip() == "0"
    host.save(stage_disk(INSTALLED))
    if isinstance(host, VmHost):
        (stage_disk(INSTALLED) / "before.json").write_text(json.dumps(sorted(before)))
        (stage_disk(INSTALLED) / "product").write_text(product())


def test_launch(machine: Callable[[str | None], Machine], slow: Slow) -> None:
    host = machine(INSTALLED)
    well_after_boot(slow, host)
    assert slow.binderbox(host, "launch", "--json").must().result["url"]
    host.exec(["systemctl", "stop", layout.BUILDKITD_UNIT], timeout_s=300)
    assert host.exec(["systemctl", "show", "-P", "ActiveState", layout.BUILDKITD_UNIT]).strip() == "inactive"
    host.exec(["systemctl", "start", layout.BUILDKITD_UNIT], timeout_s=300)
    no_failed_unit(host)


def test_resolver(machine: Callable[[str | None], Machine], slow: Slow) -> None:
    """At the metadata address names are told, to builds and pods, and to nobody anything else."""
    host = machine(INSTALLED)
    if not isinstance(host, VmHost):
        pytest.skip("the cloud is around the rig's own machine")
    well_after_boot(slow, host)
    directory = slow.home / "internet"
    directory.mkdir()
    with this_machine(host) as address, Internet(address, directory) as internet:
        internet.registry.add(images.sample_base_image(BASE))
        site = {"extra_ca": [internet.ca_pem], "egress_allow": [{"network": f"{address}/32", "ports": [443]}]}
        with cloud_around(host, internet.names.addresses) as cloud:
            ask = ["curl", "-sf", f"http://{METADATA}/latest/meta-data/"]
            assert host.exec(ask) == CREDENTIAL
            cloud.asked.clear()
            assert slow.install(host, "--json", **site).must().result["changed"]
            assert slow.install(host, "--json", **site).must().result["changed"] == []

            def launch(name: str, line: str) -> Finished:
                dockerfile = f"FROM {BASE}\nCOPY . .\n{line}\n"
                url = serve_repository(host, name, dockerfile, **{"closed.py": CLOSED})  # type: ignore[arg-type]
                return slow.binderbox(host, "launch", url, "--ref", "main", "--json")

            launch("named", f"RUN python3 closed.py {METADATA}").must()
            assert "base:1" in internet.registry.pulled
            assert launch("stolen", f"ADD {ask[-1]} /stolen").code != 0
            assert cloud.asked == []
            assert host.exec(ask) == CREDENTIAL


def manifest(host: Machine, image: str) -> bool:
    """Whether the registry has it."""
    path, _, tag = image.removeprefix(f"{layout.REGISTRY}/").rpartition(":")
    url = f"http://{Networks().registry_ip}:5000/v2/{path}/manifests/{tag}"
    accept = "Accept: application/vnd.oci.image.manifest.v1+json"
    credential = f"-u {layout.REGISTRY_USER}:$(cat {layout.SECRETS}/registry-password)"
    script = f'curl -sf {credential} -o /dev/null -H "$2" "$1" && echo yes || true'
    return host.exec(["sh", "-c", script, "sh", url, accept]).strip() == "yes"


def waits_for_push(host: Machine) -> str:
    return host.exec(["sh", "-c", f"find {layout.DATA}/door -name '*.json'"])


def well_again(slow: Slow, host: Machine) -> None:
    wait_until(lambda: healthy(slow, host), WELL_S, "the member after a power cut")
    broken = host.exec(["sh", "-c", "journalctl -k --no-pager | grep -c 'EXT4-fs error' || true"])
    assert broken.strip() == "0"


@contextmanager
def this_machine(host: Machine) -> Iterator[str]:
    """An address of this machine at which what runs on the host reaches it."""
    if not isinstance(host, VmHost):
        yield gateway(host)  # type: ignore[arg-type]
        return
    # QEMU opens what the guest opens; the address must only be no network of the guest's.
    with one_more_address(SERVER):
        yield SERVER


def follower_is_at(host: Machine, words: str) -> bool:
    """Whether the follower, which is started if it does not run, is at that step."""
    host.exec(["systemctl", "start", "--no-block", "binderbox-follow.service"])
    return words in step(host)  # type: ignore[arg-type]


def cut_in_a_switch(slow: Slow, host: Machine) -> None:
    """While helm upgrades BinderHub. The next run ends what was begun: the member has the prime's versions."""
    with this_machine(host) as address, Deployment(address, slow.home / "federation") as deployment:
        trust_store(host, deployment.store)
        slow.install(host, "--json", follow=deployment.follow).must()
        wanted = deployment.release(2)
        wait_until(lambda: follower_is_at(host, "BinderHub to chart"), WELL_S, "the follower's switch")
        cut_power(host)
        well_again(slow, host)
        trust_store(host, deployment.store)  # k3s writes containerd's list of registries anew when it starts
        host.exec(["systemctl", "start", "binderbox-follow.service"], timeout_s=WELL_S)
        told = json.loads(host.exec(["cat", layout.FOLLOW_STATE]))
        assert (told["verdict"], told["own"]) == ("equal", wanted), told


def test_power_cut(machine: Callable[[str | None], Machine], slow: Slow) -> None:
    """Idle, in a build, while a push waits, and in a switch of the follower: the next boot is well, nothing is lost."""
    host, chance = machine(INSTALLED), random.Random(SEED)
    well_after_boot(slow, host)
    first = slow.binderbox(host, "launch", "--json").must().result["image"]
    wait_until(lambda: manifest(host, first), WELL_S, "the first image in the registry")
    time.sleep(chance.uniform(0, 30))
    cut_power(host)
    well_again(slow, host)
    assert manifest(host, first)

    repository = serve_slow_repository(host, "cut", 60)  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(slow.binderbox, host, "launch", repository, "--ref", "main", "--json")
        wait_until(lambda: pods(host, "binderhub-build"), WELL_S, "a build pod")  # type: ignore[arg-type]
        time.sleep(chance.uniform(5, 40))
        cut_power(host)
        assert building.result().code != 0
    well_again(slow, host)

    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(slow.binderbox, host, "launch", "--json")
        wait_until(lambda: waits_for_push(host), WELL_S, "an image that waits for its push")
        cut_power(host)
        building.result()
    well_again(slow, host)
    wait_until(lambda: not waits_for_push(host), WELL_S, "the push after the boot")
    assert manifest(host, first)
    no_change(slow, host)

    cut_in_a_switch(slow, host)
    slow.binderbox(host, "launch", "--json").must()


def test_drain(machine: Callable[[str | None], Machine], slow: Slow) -> None:
    """It stays drained through a reboot, and comes back."""
    host = machine(INSTALLED)
    well_after_boot(slow, host)
    slow.binderbox(host, "drain", "--reason", "a new disk", "--yes", "--json").must()
    host.reboot()
    wait_until(
        lambda: slow.binderbox(host, "status", "--json").result.get("drain"),
        WELL_S,
        "the drain after a reboot",
    )
    # the record is there before the ingress is, and a resume that nobody confirms yet says so and is run again
    wait_until(
        lambda: slow.binderbox(host, "resume", "--json").code == 0, WELL_S, "a resume that /health confirms"
    )
    wait_until(lambda: healthy(slow, host), WELL_S, "the member after a resume")


def test_abusers(machine: Callable[[str | None], Machine], slow: Slow) -> None:
    """What abusers try from a notebook and from a step of a build is refused, whatever was flushed or started anew."""
    host = machine(INSTALLED)
    well_after_boot(slow, host)
    for after in ("an install", "a flush of all tables", "a restart of k3s", "a reboot"):
        if after == "a flush of all tables":
            host.exec(["nft", "flush", "ruleset"])
        if after == "a restart of k3s":
            host.exec(["systemctl", "restart", layout.K3S_UNIT], timeout_s=WELL_S)
        if after == "a reboot":
            host.reboot()
        wait_until(lambda: healthy(slow, host), WELL_S, f"the member after {after}")
        rows = slow.binderbox(host, "abuse check", "--json").must().result["rows"]
        told = {row["name"]: (row["notebook"], row["build"]) for row in rows}
        print(f"after {after}: {json.dumps(told)}", flush=True)
        assert [(row["name"], row["fault"]) for row in rows if row["fault"]] == [], after


# What the profile alone forbids, and one thing that it must not.
CONFINED = (
    f"grep -qx '{layout.BUILDS_PROFILE} (enforce)' /proc/self/attr/current && ! head -c 1 /proc/kallsyms"
    " && ! python3 -c 'import socket; socket.socket(38, socket.SOCK_SEQPACKET)'"
    " && python3 -c 'import socket; socket.socketpair()'"
)


class SlowNode(Node):
    pause_s = 10

    def pods(self, *words: str, of: str = "", stdin: bytes | None = None, timeout_s: float = WELL_S) -> str:
        """Patiently: an API server of two emulated processors takes a minute over an answer now and then."""
        for left in range(5, -1, -1):
            try:
                return super().pods("--max-time", "120", *words, of=of, stdin=stdin, timeout_s=timeout_s)
            except StepFailed as error:
                # It had come in, and its answer had not gone out.
                if left < 5 and stdin and "409" in error.cause:
                    return ""
                if not left or "404" in error.cause:
                    raise
        raise AssertionError("unreachable")

    def wait(self, name: str, within_s: float = WELL_S) -> Ended:
        return super().wait(name, WELL_S)


FILLS_THE_DISK = ("adds-without-end", "adds-what-has-no-length")
HELD_BY_THE_KERNEL = ("fork-bomb", "memory-in-run", "memory-in-tmpfs", "ignores-sigterm", "leaves-a-daemon", "kernel", "escapes")  # fmt: skip
HELD_BY_THE_DOOR = ("ten-gb", "deep", "dockerfile-behind-a-link", "dockerfile-of-10-mb", "100000-layers", "frontend-line", "host-network", "insecure")  # fmt: skip


def test_strangers(machine: Callable[[str | None], Machine], slow: Slow) -> None:
    """What hostile repositories ask of the network, the kernel and the door; an honest build beside each."""
    host, faults = machine(INSTALLED), []
    named = {one.name: one for one in (*STEPS, *CONTEXTS, *DOCKERFILES)}
    rows = [*NETWORKS, *(named[name] for name in (*HELD_BY_THE_DOOR, *HELD_BY_THE_KERNEL))]
    with this_machine(host) as address, closing(Endless(address)) as server:
        server.start()
        allowed = [{"network": f"{address}/32", "ports": [server.port]}]
        slow.install(host, "--json", egress_allow=allowed).must()
        wait_until(lambda: healthy(slow, host), WELL_S, "the member after a boot")
        scene = Scene(SlowNode(host), server.url, "")  # type: ignore[arg-type]
        more_slots(scene.node)
        scene.node.repository("confined", f"RUN {CONFINED}")
        assert scene.node.build("confined").phase == "Succeeded"
        for row in rows:
            try:
                with nearly_full(host) if row.name in FILLS_THE_DISK else nullcontext():
                    faults += alone(scene, row)
            except (AssertionError, StepFailed) as error:  # the others are looked at all the same
                faults.append(f"{row.name}: {error}")
                print(f"| {row.name} | not seen to its end | | | |", flush=True)
        share = measured_share(scene.node, start_s=300)
        print(f"builds to sessions, both busy: {share:.2f}, promised {SHARE}", flush=True)
        if share != pytest.approx(SHARE, rel=0.1):
            faults.append(f"shares: {share:.2f}")
    assert faults == []


@contextmanager
def nearly_full(host: Machine) -> Iterator[None]:
    """An emulated machine takes hours to fill its disk; most of it is full before."""
    config = json.loads(host.exec(["cat", f"{layout.ETC}/door.json"]))
    free_mb = int(host.exec(["sh", "-c", f"df --output=avail -BM {layout.DATA} | tail -n 1 | tr -d M"]))
    left_mb = config["free_ceiling_mb"] + 1000
    host.exec(["sh", "-c", f"fallocate -l {max(free_mb - left_mb, 1)}M {layout.DATA}/full"])
    try:
        yield
    finally:
        host.exec(["rm", "-f", f"{layout.DATA}/full"])


def alone(scene: Scene, row: Repository) -> list[str]:
    """What one wasted beside its own build, if anything; told as a row of the table."""
    node, began, since = scene.node, time.monotonic(), datetime.now(UTC)
    put(scene, row)
    node.repository(honest := f"honest-{secrets.token_hex(3)}", "RUN sleep 1 && echo honest-work")
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(node.build, honest)
        how, log = hostile(node, replace(row, within_s=WELL_S), 40)
        well = beside.result().phase == "Succeeded"
    pressed = pressure(node, since)
    if unheard(node, since):
        pressed = set()
    took_s = time.monotonic() - began
    print(
        f"| {row.name} | {how} | {took_s:.0f} s | {well:d} of 1 | {', '.join(pressed) or 'never'} |",
        flush=True,
    )
    right = how == row.ends and row.says in log and not (row.not_said and row.not_said in log)
    wait_until(lambda: not tasks(node), WELL_S, "no step is left")
    node.delete(f"build-{honest}", f"build-{row.name}")
    return [] if right and well and not pressed else [f"{row.name}: {how} {log[-2000:]}"]


def unheard(node: Node, since: datetime) -> bool:
    """Whether nothing was heard of the node for a while, as an emulated one is silent now and then: all its conditions were unknown."""
    found = conditions(node)
    changed = all(datetime.fromisoformat(one["lastTransitionTime"]) >= since for one in found)
    return changed and not any(one["status"] == "True" for one in found if one["type"] != "Ready")


def test_uninstall(machine: Callable[[str | None], Machine], slow: Slow) -> None:
    """Nothing is left, by a look at the whole file system; users, units, mounts, links, tables and processes, too."""
    host = machine(INSTALLED)
    gone = slow.binderbox(host, "uninstall", "--purge", "--yes", "--json").must().result
    assert gone["leftovers"] == []
    if not isinstance(host, VmHost):
        return
    before = set(json.loads((stage_disk(INSTALLED) / "before.json").read_text()))
    host.reboot()
    after = everything(host)  # type: ignore[arg-type]
    assert (sorted(after - before), sorted(before - after)) == ([], [])
