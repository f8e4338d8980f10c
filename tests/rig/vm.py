"""A host of the rig that is a virtual machine: a kernel of its own, cgroup v2, real reboots and real power cuts.

QEMU runs it: with KVM where a stock guest runs in that, else by translation (TCG), which is some ten times slower.
Seconds in it prove nothing. It is installed on as any machine is, over ssh.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from binderbox.commands.demo_files import make_ssh_key, render_ssh_config
from binderbox.errors import StepFailed
from tests.rig import ntp
from tests.rig.accel import Accel, find_accel
from tests.rig.cache import cache_home
from tests.rig.host import ROOT, Account, this_run
from tests.rig.overssh import run_as_root, wait_other_boot
from tests.rig.vmimage import VmImage, vm_image

PORTS = (22, 80, 443)
MEMORY_MB, CPUS = 6144, 2
BOOT_S = 600  # a slow one, beside other work, took 120
DOWN_S = 300
# What a power cut loses is what the guest's disk had not acknowledged: nothing lies in a cache of ours.
CACHE = "none"
TIME = "/run/systemd/timesyncd.conf"


@dataclass
class VmHost:
    """One virtual machine. `ssh -F vm.ssh_config vm.alias` logs in as root; its ports 80 and 443 are at `address`, too."""

    name: str
    address: str
    directory: Path
    image: VmImage
    accel: Accel
    account: Account = ROOT
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
    def start(cls, name: str, *, run_id: str | None = None, saved: Path | None = None) -> Self:
        """Boot a bare VM, or one from a directory that `save` filled, and wait until ssh answers."""
        image, accel = vm_image(), find_accel(vm_image())
        full_name = f"bbx-{run_id or this_run()}-{name}"
        directory = cache_home() / "vms" / full_name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        host = cls(full_name, _free_address(full_name), directory, image, accel)
        host.key.touch(mode=0o600)
        if saved:
            shutil.copyfile(saved / "id_ed25519", host.key)
            shutil.copyfile(saved / "id_ed25519.pub", directory / "id_ed25519.pub")
        else:
            key = make_ssh_key()
            host.key.write_text(key.private)
            (directory / "id_ed25519.pub").write_text(key.public)
        base, kind = (saved / "disk.qcow2", "qcow2") if saved else (image.disk, "raw")
        _run(
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            "-F",
            kind,
            "-b",
            str(base),
            str(directory / "disk.qcow2"),
        )
        text = render_ssh_config(host.alias, host.address, 22, "root", host.key, host.known_hosts)
        host.ssh_config.write_text(text)
        host.power_on()
        return host

    @classmethod
    def found(cls, name: str, *, run_id: str) -> Self:
        """The VM of that name that another process has started."""
        full_name = f"bbx-{run_id}-{name}"
        directory = cache_home() / "vms" / full_name
        address = json.loads((directory / "vm.json").read_text())["address"]
        return cls(full_name, address, directory, vm_image(), find_accel(vm_image()))

    def exec(self, argv: list[str], *, stdin: bytes | None = None, timeout_s: float = 300) -> str:
        """Run a command as root and return its stdout; raises StepFailed."""
        return run_as_root(
            self._ssh_words(), shlex.join(argv), stdin=stdin, timeout_s=timeout_s, name=self.name
        )

    def ssh(self, *command: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command over plain ssh, as its user would; never asks anything."""
        argv = ["ssh", "-F", str(self.ssh_config), "-o", "BatchMode=yes", self.alias, *command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, check=False)

    def cut_network(self) -> None:
        """Pull the cable; what runs inside goes on."""
        self._qmp("set_link", name="n0", up=False)

    def restore_network(self) -> None:
        self._qmp("set_link", name="n0", up=True)

    def reboot(self, *, power_cut: bool = False) -> None:
        """Shut down and boot, or boot as after a power cut; waits until ssh answers."""
        if power_cut:
            self.power_cut()
            self.power_on()
            return
        before = self.booted_at()
        # the connection ends before the answer, or nobody ends it
        with contextlib.suppress(StepFailed, subprocess.TimeoutExpired):
            self.exec(["systemctl", "reboot"], timeout_s=60)
        self.wait_rebooted(before)

    def booted_at(self) -> str:
        """Which boot this is; one that goes down under the question never answers it."""
        return self.exec(["cat", "/proc/sys/kernel/random/boot_id"], timeout_s=60)

    def wait_rebooted(self, since: str, timeout_s: float = DOWN_S + BOOT_S) -> None:
        """Wait until the host is up again after a reboot from inside; `since` is which boot it was before that."""

        def booted_at() -> str:
            self._forget_connection()
            return self.booted_at()

        wait_other_boot(booted_at, since, timeout_s, self.console)
        self._set_clock()

    def _set_clock(self) -> None:
        """Name it a time server, as providers do; below /run, where it is no part of the disk that is compared."""
        ntp.serve()
        script = f"mkdir -p {TIME}.d && printf '[Time]\\nNTP=10.0.2.2\\nPollIntervalMaxSec=64\\n' >{TIME}.d/rig.conf && systemctl restart systemd-timesyncd"
        self.exec(["sh", "-c", script])

    def power_cut(self) -> None:
        """From one moment to the next nothing runs, and no disk is written."""
        pid = self._pid()
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 60
        # It has no command line any more long before its disk and its ports are free.
        while _holds_files(pid):
            if time.monotonic() > deadline:
                raise StepFailed(f"{self.name}: QEMU does not end")
            time.sleep(0.1)
        self._forget_connection()

    def file_system_faults(self) -> str:
        """What a check of its disk, once the journal is read, finds wrong; of a machine that is off."""
        raw = self.directory / "looked-at.raw"
        try:
            _run("qemu-img", "convert", "-O", "raw", str(self.directory / "disk.qcow2"), str(raw))
            _run("e2fsck", "-E", "journal_only", "-y", str(raw))
            words = ["e2fsck", "-f", "-n", str(raw)]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            return done.stdout + done.stderr if done.returncode else ""
        finally:
            raw.unlink(missing_ok=True)

    def power_off(self) -> None:
        """Shut down properly."""
        with contextlib.suppress(StepFailed, subprocess.TimeoutExpired):
            self.exec(["systemctl", "poweroff"])
        self._wait_off(DOWN_S)

    def power_on(self) -> None:
        """Start it and wait until ssh answers."""
        self._forget_connection()
        _run(*self._qemu_words())
        (self.directory / "vm.json").write_text(json.dumps({"address": self.address}))
        self._wait_ssh()
        self._set_clock()

    def save(self, directory: Path) -> None:
        """Shut down and keep disk and key there; `start(saved=directory)` goes on from them."""
        self.power_off()
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        shutil.move(self.directory / "disk.qcow2", directory / "disk.qcow2")
        for name in ("id_ed25519", "id_ed25519.pub"):
            shutil.copyfile(self.directory / name, directory / name)
        (directory / "id_ed25519").chmod(0o600)

    def stop(self) -> None:
        """Remove the VM with its disk and its keys."""
        self._forget_connection()
        if self._pid():
            self.power_cut()
        shutil.rmtree(self.directory, ignore_errors=True)

    def console(self, lines: int = 20) -> str:
        """The last lines of its serial console."""
        log = self.directory / "console.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

    def _qemu_words(self) -> list[str]:
        forwards = ",".join(f"hostfwd=tcp:{self.address}:{port}-:{port}" for port in PORTS)
        authorized = base64.b64encode((self.directory / "id_ed25519.pub").read_bytes()).decode()
        credential = f"io.systemd.credential.binary:ssh.authorized_keys.root={authorized}"
        append = f"root=/dev/vda rw console=ttyS0 net.ifnames=0 {self.accel.kernel_words}".rstrip()
        return [
            "qemu-system-x86_64", "-name", self.name, "-machine", "q35", *self.accel.words,
            "-smp", str(CPUS), "-m", str(MEMORY_MB), "-display", "none", "-daemonize",
            "-kernel", str(self.image.kernel), "-initrd", str(self.image.initrd), "-append", append,
            "-drive", f"file={self.directory}/disk.qcow2,if=virtio,format=qcow2,cache={CACHE},discard=unmap",
            "-netdev", f"user,id=n0,{forwards}", "-device", "virtio-net-pci,netdev=n0",
            "-device", "virtio-rng-pci", "-smbios", f"type=11,value={credential}",
            "-chardev", f"file,id=console,path={self.directory}/console.log,append=on", "-serial", "chardev:console",
            "-monitor", "none", "-qmp", f"unix:{self.directory}/qmp,server=on,wait=off",
            "-pidfile", str(self.directory / "pid"),
        ]  # fmt: skip

    def _ssh_words(self) -> list[str]:
        own = {
            "BatchMode": "yes",
            "ConnectTimeout": "20",
            "ControlMaster": "auto",
            "ControlPath": f"{self.directory}/ctl",
            "ControlPersist": "yes",
        }
        options = [word for name, value in own.items() for word in ("-o", f"{name}={value}")]
        return ["ssh", "-F", str(self.ssh_config), *options, self.alias]

    def _forget_connection(self) -> None:
        control = self.directory / "ctl"
        if control.exists():
            words = [
                "ssh",
                "-F",
                str(self.ssh_config),
                "-o",
                f"ControlPath={control}",
                "-O",
                "exit",
                self.alias,
            ]
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(words, capture_output=True, timeout=10, check=False)
            control.unlink(missing_ok=True)

    def _wait_ssh(self) -> None:
        deadline = time.monotonic() + BOOT_S
        while time.monotonic() < deadline:
            if not self._pid():
                raise StepFailed(f"{self.name}: QEMU ended", cause=self.console())
            words = ["ssh-keyscan", "-t", "ed25519", "-T", "10", self.address]
            scanned = subprocess.run(words, capture_output=True, text=True, check=False).stdout
            if scanned and not self.known_hosts.exists():
                self.known_hosts.write_text(scanned)
            if scanned:
                with contextlib.suppress(StepFailed, subprocess.TimeoutExpired):
                    self.exec(["true"])
                    return
            time.sleep(1)
        raise StepFailed(f"{self.name}: no ssh within {BOOT_S} s", cause=self.console())

    def _pid(self) -> int:
        """QEMU's, 0 when it does not run."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.directory / "pid").read_text())
            if self.name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        return 0

    def _wait_off(self, within_s: float) -> None:
        self._forget_connection()
        deadline = time.monotonic() + within_s
        while self._pid():
            if time.monotonic() > deadline:
                raise StepFailed(f"{self.name} is still on after {within_s:.0f} s", cause=self.console())
            time.sleep(0.2)

    def _qmp(self, command: str, **arguments: object) -> None:
        with socket.socket(socket.AF_UNIX) as spoken:
            spoken.settimeout(10)
            spoken.connect(str(self.directory / "qmp"))
            lines = spoken.makefile("rw")
            lines.readline()
            for asked in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                lines.write(json.dumps(asked))
                lines.flush()
                answer = json.loads(lines.readline())
                if "error" in answer:
                    raise StepFailed(f"{self.name}: {command}: {answer['error']['desc']}")


def clean_vms(run_id: str | None = None) -> list[str]:
    """End and remove the VMs of a run (of every run, if none is named)."""
    removed = []
    for directory in (cache_home() / "vms").glob(f"bbx-{run_id}-*" if run_id else "bbx-*"):
        VmHost(directory.name, "", directory, VmImage(Path(), Path(), Path()), Accel("", (), "")).stop()
        removed.append(directory.name)
    return removed


def _holds_files(pid: int) -> bool:
    """Its first thread may have ended before those that write to the disk."""
    try:
        ended = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
        return not ended or len(os.listdir(f"/proc/{pid}/task")) > 1
    except OSError:
        return False


def _free_address(name: str) -> str:
    """An address of the loopback network at which nobody listens."""
    start = int.from_bytes(name.encode()) % 250
    for number in range(250):
        address = f"127.77.0.{2 + (start + number) % 250}"
        with socket.socket() as tried:
            try:
                tried.bind((address, 22))
            except OSError:
                continue
        return address
    raise StepFailed("no free address below 127.77.0.0/24")


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepFailed(f"{words[0]} failed", cause=done.stderr.strip())
