# Turns a bare Debian or Ubuntu root into a throwaway host that boots systemd in a container.
set -eu
export DEBIAN_FRONTEND=noninteractive

# Nothing is to start while it is being installed.
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get -qq update
apt-get -qq install --yes --no-install-recommends \
    ca-certificates conntrack curl dbus e2fsprogs ethtool git iproute2 ipset iptables kmod libpam-systemd nftables \
    openssh-server openssl procps python3 python3-venv python3-yaml socat sudo systemd systemd-sysv udev xz-utils zstd
rm /usr/sbin/policy-rc.d

# Units that would reach past the container into the kernel and the disk it shares, or that wait for a screen.
systemctl mask console-getty.service getty.target proc-sys-fs-binfmt_misc.automount sys-kernel-config.mount \
    systemd-modules-load.service systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket \
    systemd-udev-trigger.service e2scrub_all.timer e2scrub_reap.service fstrim.timer
systemctl set-default multi-user.target

# systemd shares a machine's mounts with units that have a namespace of their own, and a container's not.
cat > /etc/systemd/system/share-mounts.service <<'END'
[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/mount --make-rshared /
[Install]
WantedBy=sysinit.target
END
systemctl enable share-mounts.service

# Each host makes host keys and a machine id of its own, at its first boot.
rm -f /etc/ssh/ssh_host_*
mkdir -p /etc/systemd/system/ssh.service.d
printf '[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n' \
    > /etc/systemd/system/ssh.service.d/host-keys.conf
: > /etc/machine-id
