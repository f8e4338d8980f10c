"""A host of the rig: a systemd container that is installed on as any machine is, over ssh."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Self

from binderbox import layout
from binderbox.commands.demo_files import make_ssh_key, render_known_host, render_ssh_config
from binderbox.errors import StepFailed
from binderbox.world.containers import Engine, HostSpec
from tests.rig.cache import cache_home
from tests.rig.disk import Disk
from tests.rig.engine import ensure_engine
from tests.rig.hostimage import host_image

LABEL = "binderbox.rig"
NETWORKS = ipaddress.ip_network("10.213.192.0/18")  # a /24 of it for each run
CUT = """
table netdev rigcut {
    chain in { type filter hook ingress device eth0 priority -500; policy drop; meta protocol arp accept; }
    chain out { type filter hook egress device eth0 priority -500; policy drop; meta protocol arp accept; }
}
"""
# $1 path, $2 MB to leave. A file system of its own, as large as what lies there and a little more.
FILL = """
set -e
used=$(du -sm "$1" | cut -f1)
image=/var/lib/binderbox-rig-disk-$(echo "$1" | tr / -)
truncate --size $((used * 5 / 4 + $2 + 48))M "$image"
mkfs.ext4 -q -m 0 -O ^has_journal "$image"
mkdir -p /run/rig-disk
mount -o loop "$image" /run/rig-disk
cp -a "$1/." /run/rig-disk/
free=$(df -BM --output=avail /run/rig-disk | tail -1 | tr -dc 0-9)
[ "$free" -le "$2" ] || fallocate -l $((free - $2))M /run/rig-disk/.filler
umount /run/rig-disk
mount -o loop "$image" "$1"
"""
UNFILL = """
set -e
image=/var/lib/binderbox-rig-disk-$(echo "$1" | tr / -)
umount "$1"
mkdir -p /run/rig-disk
mount -o loop "$image" /run/rig-disk
rm -f /run/rig-disk/.filler
rmdir /run/rig-disk/lost+found
cp -a /run/rig-disk/. "$1/"
umount /run/rig-disk
rm "$image"
"""


@dataclass(frozen=True)
class Account:
    """A user who may log in with the host's key; with a password, sudo asks for it."""

    name: str = "root"
    sudo_password: str | None = None


ROOT = Account()
# As a package of its distribution would leave them; only that they are there matters to the double of cryptnono.
DATA_DISK = "data-disk"
HEADERS = """\
kernel=$(uname -r)
mkdir -p "/lib/modules/$kernel" "/usr/src/linux-headers-$kernel/include/generated"
[ -e "/lib/modules/$kernel/build" ] || ln -s "/usr/src/linux-headers-$kernel" "/lib/modules/$kernel/build"
"""
VOLUNTEER = Account("volunteer")
VOLUNTEER_WITH_PASSWORD = Account("volunteer", sudo_password="correct horse")


@dataclass
class RigHost:
    """One running host. `ssh -F host.ssh_config host.alias` logs in."""

    name: str
    address: str
    directory: Path
    engine: Engine
    account: Account = ROOT
    ssh_port: int = 22
    alias: str = field(default="", init=False)
    ssh_config: Path = field(default=Path(), init=False)
    known_hosts: Path = field(default=Path(), init=False)
    key: Path = field(default=Path(), init=False)

    def __post_init__(self) -> None:
        self.alias = self.name
        self.ssh_config = self.directory / "ssh_config"
        self.known_hosts = self.directory / "known_hosts"
        self.key = self.directory / "id_ed25519"

    @classmethod
    def start(
        cls,
        name: str,
        *,
        run_id: str | None = None,
        account: Account = ROOT,
        ssh_port: int = 22,
        jump: RigHost | None = None,
        memory: str | None = None,
        publish: tuple[tuple[int, int], ...] = (),
        release: str = "bookworm",
        disk_gb: int | None = None,
        data_disk_gb: int | None = None,
    ) -> Self:
        """Boot a host and wait until ssh answers.

        + jump: the only host that this one lets ssh in from
        + disk_gb: the size of a disk of its own; without it, it shares this machine's
        + data_disk_gb: the size of a second one, for the member's data
        + publish: (port on this machine's loopback, port of the host), for engines on another machine
        """
        run_id = run_id or this_run()
        engine = Engine(ensure_engine())
        image = host_image(release)
        full_name = f"bbx-{run_id}-{name}"
        directory = cache_home() / "hosts" / full_name
        _remove_directory(directory)
        directory.mkdir(parents=True)
        key = make_ssh_key()
        host = cls(full_name, "", directory, engine, account, ssh_port)
        _write_private(host.key, key.private)
        (directory / "resolv.conf").write_text(_resolvers(engine.env.get("DOCKER_HOST"), image))
        spec = HostSpec(
            name=full_name,
            image=image,
            label=f"{LABEL}={run_id}",
            network=_ensure_network(engine, run_id),
            publish=publish,
            files=_files(key.public, account, ssh_port, jump),
            resolv_conf=str(directory / "resolv.conf"),
            memory=memory,
        )
        if disk_gb:
            disk = Disk.make(directory, disk_gb)
            data = Disk.make(directory, data_disk_gb, DATA_DISK) if data_disk_gb else disk
            for path in spec.volumes:
                of = data if path == layout.DATA else disk
                of.volume(engine, spec.volume(path), spec.label)
        host.address = _start_at_free_address(engine, spec)
        host._settle(jump)
        return host

    @classmethod
    def found(cls, name: str, *, run_id: str) -> Self:
        """The host of that name that another process has started."""
        full_name = f"bbx-{run_id}-{name}"
        return cls(full_name, "", cache_home() / "hosts" / full_name, Engine(ensure_engine()))

    def exec(self, argv: list[str], *, stdin: bytes | None = None, timeout_s: float = 120) -> str:
        """Run a command as root, not over ssh, and return its stdout; raises StepFailed."""
        options = ["--interactive"] if stdin is not None else []
        return self.engine.run("exec", *options, self.name, *argv, stdin=stdin, timeout_s=timeout_s)

    def ssh(self, *command: str, timeout_s: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a command over plain ssh, as its user would; never asks anything."""
        argv = ["ssh", "-F", str(self.ssh_config), "-o", "BatchMode=yes", self.alias, *command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, check=False)

    def cut_network(self) -> None:
        """Swallow every packet to and from the host, silently; what runs inside goes on."""
        self.exec(["nft", "-f", "-"], stdin=CUT.encode())

    def restore_network(self) -> None:
        self.exec(["nft", "delete", "table", "netdev", "rigcut"])

    def kill_sshd(self, *, stay_down: bool = False) -> None:
        """Kill the listener and every session at once; systemd starts a new listener unless it is to stay down."""
        if stay_down:
            self.exec(["systemctl", "mask", "--runtime", "--now", "ssh.service", "ssh.socket"])
        self.exec(["sh", "-c", "pkill -KILL -x sshd || true"])

    def start_sshd(self) -> None:
        self.exec(["sh", "-c", "systemctl unmask --runtime ssh.service ssh.socket; systemctl restart ssh"])

    def fill_disk(self, path: str, leave_mb: int) -> None:
        """Put a full file system at `path`, holding what is there, with about `leave_mb` free."""
        self.exec(["mkdir", "-p", path])
        self.exec(["sh", "-c", FILL, "sh", path, str(leave_mb)], timeout_s=300)

    def free_disk(self, path: str) -> None:
        """Undo `fill_disk`; what was written meanwhile is kept."""
        self.exec(["sh", "-c", UNFILL, "sh", path], timeout_s=300)

    def reboot(self, *, power_cut: bool = False) -> None:
        """Shut down and boot, or boot as after a power cut. Files stay; processes, mounts and networks go."""
        if power_cut:
            self.engine.run("kill", self.name)
        else:
            self.engine.run("stop", "--time", "60", self.name, timeout_s=90)
        self.engine.run("start", self.name)
        self._settle(None)

    def booted_at(self) -> str:
        """When the host booted last. (The boot id inside is the machine's, and never changes.)"""
        return self.engine.run("inspect", "--format", "{{.State.StartedAt}}", self.name)

    def wait_rebooted(self, since: str, timeout_s: float = 90) -> None:
        """Wait until the host is up again after a reboot from inside; `since` is when it booted before that."""
        deadline = time.monotonic() + timeout_s
        while self.booted_at() == since or self.engine.state(self.name) != "running":
            if time.monotonic() > deadline:
                raise StepFailed(f"{self.name} did not reboot within {timeout_s:.0f} s")
            time.sleep(0.1)
        self.engine.wait_ready(self.name)

    def stop(self) -> None:
        """Remove the host, with its volumes and its keys."""
        self.engine.run("rm", "--force", "--volumes", self.name)
        volumes = self.engine.run("volume", "ls", "--quiet", "--filter", f"name=^{self.name}-").split()
        if volumes:
            self.engine.run("volume", "rm", "--force", *volumes)
        _remove_directory(self.directory)

    def _settle(self, jump: RigHost | None) -> None:
        host_key = self.engine.wait_ready(self.name)
        self.exec(["sh", "-c", HEADERS])
        if self.account.name != "root":
            self._add_account()
        if self.ssh_config.exists():
            return
        known = [render_known_host(self.address, self.ssh_port, host_key)]
        text = render_ssh_config(
            self.alias, self.address, self.ssh_port, self.account.name, self.key, self.known_hosts,
            jump=jump.alias if jump else None,
        )  # fmt: skip
        if jump:
            text += "\n" + jump.ssh_config.read_text()
            known.append(jump.known_hosts.read_text())
        self.known_hosts.write_text("".join(known))
        self.ssh_config.write_text(text)

    def _add_account(self) -> None:
        user = self.account.name
        script = f"""
            id {user} >/dev/null 2>&1 && exit 0
            useradd --create-home --shell /bin/bash {user}
            install -d -m 0700 -o {user} -g {user} /home/{user}/.ssh
            install -m 0600 -o {user} -g {user} /etc/rig-authorized-key /home/{user}/.ssh/authorized_keys
        """
        self.exec(["sh", "-e", "-c", script])
        if self.account.sudo_password:
            self.exec(["chpasswd"], stdin=f"{user}:{self.account.sudo_password}".encode())


def this_run() -> str:
    """The name of this run of the rig; everything it makes is labelled with it."""
    if "BINDERBOX_RIG_RUN" not in os.environ:
        os.environ["BINDERBOX_RIG_RUN"] = secrets.token_hex(3)
    return os.environ["BINDERBOX_RIG_RUN"]


def clean(run_id: str | None = None, env: dict[str, str] | None = None) -> dict[str, list[str]]:
    """Remove what a run made (every run, if none is named): containers, volumes, networks, keys."""
    engine = Engine(ensure_engine() if env is None else env)
    removed = engine.remove_labelled(f"{LABEL}={run_id}" if run_id else LABEL)
    for directory in (cache_home() / "hosts").glob(f"bbx-{run_id}-*" if run_id else "bbx-*"):
        _remove_directory(directory)
    return removed


def _remove_directory(directory: Path) -> None:
    Disk(directory).remove()
    Disk(directory, DATA_DISK).remove()
    shutil.rmtree(directory, ignore_errors=True)


def _files(public_key: str, account: Account, port: int, jump: RigHost | None) -> dict[str, tuple[str, int]]:
    files: dict[str, tuple[str, int]] = {}
    sshd = [f"Port {port}"] if port != 22 else []
    sshd += [f"AllowUsers *@{jump.address}"] if jump else []
    if sshd:
        files["/etc/ssh/sshd_config.d/rig.conf"] = ("\n".join(sshd) + "\n", 0o644)
    if account.name == "root":
        files["/root/.ssh/authorized_keys"] = (public_key, 0o600)
        return files
    files["/etc/rig-authorized-key"] = (public_key, 0o600)
    how = "ALL" if account.sudo_password else "NOPASSWD: ALL"
    files[f"/etc/sudoers.d/{account.name}"] = (f"{account.name} ALL=(ALL:ALL) {how}\n", 0o440)
    return files


def _ensure_network(engine: Engine, run_id: str) -> str:
    name, label = f"bbx-{run_id}", f"{LABEL}={run_id}"
    if name in engine.labelled(label).get("network", []):
        return name
    candidates = list(NETWORKS.subnets(new_prefix=24))
    start = int.from_bytes(run_id.encode()) % len(candidates)
    for subnet in candidates[start:] + candidates[:start]:
        with contextlib.suppress(StepFailed):  # another run has it
            engine.run("network", "create", "--label", label, "--subnet", str(subnet), name)
            return name
        if name in engine.labelled(label).get("network", []):
            return name
    raise StepFailed(f"no free network below {NETWORKS}")


def _start_at_free_address(engine: Engine, spec: HostSpec) -> str:
    """Start the host at an address that stays its own when it reboots; the engine gives out others."""
    shown = engine.run(
        "network", "inspect", "--format", "{{range .IPAM.Config}}{{.Subnet}}{{end}}", spec.network
    )
    addresses = [str(address) for address in ipaddress.ip_network(shown).hosts()][9:]
    lines = engine.run("ps", "--all", "--quiet", "--filter", f"label={spec.label}").split()
    form = "{{range .NetworkSettings.Networks}}{{with .IPAMConfig}}{{.IPv4Address}}{{end}} {{end}}"
    taken = engine.run("inspect", "--format", form, *lines).split() if lines else []
    address = next(address for address in addresses if address not in taken)
    engine.start_host(replace(spec, address=address))
    return address


@cache
def _resolvers(engine_host: str | None, image: str) -> str:
    return Engine({"DOCKER_HOST": engine_host} if engine_host else {}).resolvers(image)


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
