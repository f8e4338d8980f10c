"""The disk of a rig VM: a plain Debian with a kernel of its own, as Debian's cloud images have it, made without booting it."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.rig.cache import cached, recipe_of
from tests.rig.roots import extended_root, run

RELEASE = "trixie"
ROOT_S, DISK_S = 150, 40
DISK_GB = 30  # sparse
# As Debian's generic cloud image has them, without cloud-init; all else is for the install to bring.
SETUP = """
set -eu
export DEBIAN_FRONTEND=noninteractive
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
mkdir -p /etc/initramfs-tools/conf.d
echo MODULES=most > /etc/initramfs-tools/conf.d/modules
apt-get -qq update
apt-get -qq install --yes --no-install-recommends \\
    apparmor ca-certificates curl dbus e2fsprogs initramfs-tools iproute2 kmod libnss-resolve libpam-systemd \\
    linux-image-cloud-amd64 openssh-server procps python3 sudo systemd systemd-resolved systemd-sysv systemd-timesyncd \\
    udev zstd
rm /usr/sbin/policy-rc.d
apt-get -qq purge --yes --autoremove git python3-venv
printf '/dev/vda / ext4 defaults,errors=remount-ro 0 1\\n' > /etc/fstab
mkdir -p /etc/systemd/network
printf '[Match]\\nName=e*\\n[Network]\\nDHCP=yes\\n' > /etc/systemd/network/70-dhcp.network
systemctl enable -q systemd-networkd systemd-resolved systemd-timesyncd ssh
ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
# The journal survives a power cut, as far as it was written.
mkdir -p /var/log/journal
rm -f /etc/ssh/ssh_host_*
mkdir -p /etc/systemd/system/ssh.service.d
printf '[Service]\\nExecStartPre=\\nExecStartPre=/usr/bin/ssh-keygen -A\\nExecStartPre=/usr/sbin/sshd -t\\n' \\
    > /etc/systemd/system/ssh.service.d/host-keys.conf
: > /etc/machine-id
echo localhost > /etc/hostname
"""


@dataclass(frozen=True)
class VmImage:
    """+ disk: a raw ext4 file system without partitions; kernel and initrd are what it boots with."""

    disk: Path
    kernel: Path
    initrd: Path


def vm_image() -> VmImage:
    """The files of a bare VM, built if they are not there; nobody writes to them."""
    root = extended_root("vm-root", SETUP, RELEASE, ROOT_S)

    def build(into: Path) -> None:
        with tempfile.TemporaryDirectory(dir=into) as scratch:
            tree = Path(scratch) / "root"
            tree.mkdir()
            run("tar", "--extract", "--file", root, "--directory", tree)
            for kind in ("vmlinuz", "initrd.img"):
                (newest,) = (tree / "boot").glob(f"{kind}-*")
                shutil.copy(newest, into / kind)
            disk = into / "disk.raw"
            run("truncate", "--size", f"{DISK_GB}G", disk)
            run("mkfs.ext4", "-q", "-d", tree, disk)

    found = cached("vm-disk", recipe_of(root.parent.name, str(DISK_GB), "1"), build, DISK_S, "a VM's disk")
    return VmImage(found / "disk.raw", found / "vmlinuz", found / "initrd.img")
