"""The builder's units on the node as text, the limits of builds among them. What each limit holds:

- the slice holds all build steps of all builds together (memory, processes); the one around it, binderbox.slice, stands
  beside Kubernetes' pods, so that it is its weight that counts against theirs;
- the prefix drop-in `bbx-.scope.d` holds each step by itself, which BuildKit cannot (a step beyond it ends with 137);
- buildkitd's own fetches (`FROM`, `ADD https://...`) leave from the host itself, where the rules for the builds'
  bridge do not see them. There a table of nftables' holds, by buildkitd's cgroup, and the unit's address list, which knows
  no ports, and is silently void where systemd has no BPF. The first is there on cgroup v2 alone.
"""

from __future__ import annotations

from binderbox import layout
from binderbox.parts.builder import confinement
from binderbox.parts.builder.door import memory
from binderbox.parts.builder.settings import (
    BUILDKITD_CONFIG,
    DOOR_CONFIG,
    MAX_BUILD_S,
    BuilderInputs,
    bytes_of,
)
from binderbox.parts.firewall.addresses import NOT_PUBLIC_4, NOT_PUBLIC_6, PUBLIC_6, PUBLIC_TCP_PORTS
from binderbox.parts.firewall.backstop_rules import lasting, owned
from binderbox.parts.firewall.spread import public_of_all, sets_of_all
from binderbox.parts.firewall.words import braces, family

NOT_PUBLIC_6_LOCAL = ("::/127", "64:ff9b:1::/48", "fc00::/7", "fe80::/10", "ff00::/8")

# A table that the backstop owns, which no flush takes, and one that stays where the backstop is started anew.
FETCHES, FETCHES_KEPT = "binderbox-fetches", "binderbox-fetches-kept"
# tcpflowkiller ends a process that asks more than 24 addresses and ports within a minute, and buildkitd is one: it would take
# every build with it. So no more than these are in use within that time, whatever is remembered beside.
FEW_4, FEW_6 = 16, 8
FEW_S = 70
STEP_LATE_S = 300  # beyond the time of a whole build
FIRST_TO_GO = 1000  # users' pods have at most 999: the kubelet's policy for burstable pods (pkg/kubelet/qos)
STEP_TASKS = 4096  # processes of one build step: as many as a user pod may have (k3s.py podPidsLimit)
FIRST_WEIGHT = 50  # until the kubelet has given its own: weights.py
IO_WEIGHT = 50  # against 100 of the pods, where the disk's scheduler knows weights (bfq, io.cost)


def render_buildkitd_unit(inputs: BuilderInputs) -> str:
    """buildkitd shares containerd's mounts, so nothing here may give it a mount namespace of its own."""
    denied = [*NOT_PUBLIC_4, *NOT_PUBLIC_6_LOCAL, *NOT_PUBLIC_6, *inputs.node_addresses]
    allowed = [*inputs.resolvers, *(one.network for one in inputs.egress_allow)]
    # Without a resolver's address nothing could be fetched at all; `plan` always knows one.
    fetching = (
        f"IPAddressDeny={' '.join(denied)}\nIPAddressAllow={' '.join(allowed)}\n" if inputs.resolvers else ""
    )
    # The rules are for this unit's cgroup, which is there from its first command on; without them it does not start.
    mine = f"stat -c %%i /sys/fs/cgroup/{layout.BUILDKITD_CGROUP}"
    told = f"cat {layout.BACKSTOP_RUN}/fetches 2>/dev/null"
    names = (
        f'ExecStartPre=/bin/sh -c \'until [ "$$({told})" = "$$({mine})" ]; do sleep 0.1; done\'\n'
        if inputs.cgroup_v2
        else ""
    )
    confined = confinement.render_loading() if inputs.apparmor else ""
    return f"""\
[Unit]
Description=BuildKit on k3s's containerd, for binderbox
Documentation=https://github.com/moby/buildkit
After=network-online.target {layout.K3S_UNIT} {layout.FIREWALL_UNIT} {layout.BACKSTOP_UNIT}
Wants=network-online.target {layout.BACKSTOP_UNIT}
Requires={layout.FIREWALL_UNIT}
StartLimitIntervalSec=0

[Service]
Type=notify
# its CNI plugins look for ip and iptables
Environment=PATH={layout.BIN}:/usr/sbin:/usr/bin:/sbin:/bin
{inputs.proxy}{names}{confined}ExecStart={layout.BIN}/buildkitd --config {BUILDKITD_CONFIG}
RuntimeDirectory=binderbox/buildkit
RuntimeDirectoryMode=0700
LimitNOFILE=1048576
TasksMax=infinity
OOMScoreAdjust=-250
# it waits for containerd by itself for a minute
TimeoutStartSec=120
# buildkitd 0.32 waits for its builds and then ends with 1, also when it was told to stop: appcontext.go
SuccessExitStatus=1
TimeoutStopSec=60
Restart=always
RestartSec=2
{fetching}
[Install]
WantedBy=multi-user.target
"""


def _within_a_minute(name: str, kind: str, most: int) -> str:
    rows = [f"type {kind} . inet_service", f"size {most}", "flags dynamic,timeout", f"timeout {FEW_S}s"]
    return "\n".join([f"    set {name} {{", *(f"        {row}" for row in rows), "    }"])


def render_fetches(inputs: BuilderInputs) -> str:
    """nftables text: what buildkitd may ask, and nothing else: its resolvers for names, what `egress_allow` says, and
    public addresses on a build step's ports.

    Twice, so that neither a flush nor the backstop's restart leaves a moment without it. A resolver's address may be the
    node's loopback (resolved's stub) or the metadata service's (Google, Oracle).
    """
    allowed = [
        f"        {family(one)} daddr {one} meta l4proto {{ tcp, udp }} th dport 53 return"
        for one in dict.fromkeys(inputs.resolvers)
        if "%" not in one
    ]
    allowed += [
        f"        {family(one.network)} daddr {one.network} tcp dport {braces(one.ports)} return"
        for one in inputs.egress_allow
    ]
    closed = [
        *(
            f"        {family(one)} daddr {one} counter reject"
            for one in inputs.node_addresses
            if "%" not in one
        ),
        f"        ip daddr {braces(NOT_PUBLIC_4)} counter reject",
        f"        ip6 daddr {braces(NOT_PUBLIC_6)} counter reject",
        f"        ip6 daddr != {PUBLIC_6} counter reject",
    ]
    body = "\n".join(
        [
            sets_of_all(),
            _within_a_minute("few_4", "ipv4_addr", FEW_4),
            _within_a_minute("few_6", "ipv6_addr", FEW_6),
            "",
            "    chain output {",
            "        type filter hook output priority filter; policy accept;",
            f'        socket cgroupv2 level 2 "{layout.BUILDKITD_CGROUP}" jump fetches',
            "    }",
            "",
            "    chain fetches {",
            "        ct state established,related return",
            *allowed,
            *closed,
            f"        tcp dport {braces(PUBLIC_TCP_PORTS)} goto few",
            "        counter reject",
            "    }",
            "",
            "    # A set that is full takes nothing more, and the rule does not go on.",
            "    chain few {",
            "        update @few_4 { ip daddr . tcp dport } goto public",
            "        update @few_6 { ip6 daddr . tcp dport } goto public",
            "        counter reject",
            "    }",
            "",
            # A Dockerfile of a thousand ADDs is a scan, too.
            public_of_all("public", "return"),
        ]
    )
    return f"{owned(FETCHES, body)}{lasting(FETCHES_KEPT, body)}"


def render_door_unit(inputs: BuilderInputs) -> str:
    """The door runs as root, because the sockets of containerd and BuildKit are root's; it keeps little of it."""
    return f"""\
[Unit]
Description=Build door between build pods and BuildKit
After={layout.K3S_UNIT} {layout.BUILDKITD_UNIT}
StartLimitIntervalSec=0

[Service]
Type=notify
Environment=PYTHONPATH={layout.DOOR}
{inputs.proxy}ExecStart=/usr/bin/python3 -B -m binderbox.parts.builder.door {DOOR_CONFIG}
# Build pods have the directory mounted: it must stay the same one when the door is restarted.
RuntimeDirectory=binderbox/door
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
Restart=always
RestartSec=1
TimeoutStopSec=40
# it says twice a second that it takes callers
WatchdogSec=60
LimitNOFILE=4096
MemoryMax=2G
# one buildctl that is too large is its own build's end, not the door's
OOMPolicy=continue
TasksMax=1024

CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL
NoNewPrivileges=yes
ProtectSystem=full
ReadWritePaths={inputs.data_dir} -/sys/fs/cgroup/freezer
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=no
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def render_our_slice(cpu_weight: int | None) -> str:
    """The slice around that of builds; `cpu_weight` against that of Kubernetes' pods."""
    return f"""\
[Unit]
Description=What binderbox runs of strangers beside Kubernetes

[Slice]
CPUWeight={cpu_weight or FIRST_WEIGHT}
IOWeight={IO_WEIGHT}
"""


def render_step_runc() -> str:
    """What starts a build step: runc, with the score of who is ended first where the node's memory ends.

    BuildKit has no setting for it, and a step would have its shim's, which is containerd's: below every user's pod.
    """
    return f"""\
#!/bin/sh
echo {FIRST_TO_GO} >/proc/$$/oom_score_adj
exec {layout.RUNC} "$@"
"""


def render_slice(inputs: BuilderInputs) -> str:
    return f"""\
[Unit]
Description=All build steps of all builds

[Slice]
MemoryMax={bytes_of(inputs.build_memory_gb)}
MemoryHigh={bytes_of(memory.HELD * inputs.build_memory_gb)}
MemorySwapMax=0
TasksMax={STEP_TASKS * inputs.build_slots}
"""


def render_scope_limits(inputs: BuilderInputs) -> str:
    return f"""\
# Each build step is a scope bbx-containerd-<id>.scope; systemd applies this to all of them.
[Scope]
MemoryMax={bytes_of(inputs.build_step_memory_gb)}
MemorySwapMax=0
TasksMax={STEP_TASKS}
# whatever becomes of its build, of BuildKit and of the door
RuntimeMaxSec={MAX_BUILD_S + STEP_LATE_S}
"""
