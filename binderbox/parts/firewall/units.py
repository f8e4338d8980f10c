"""The units that load the firewall and tell it the system pods, as text."""

from __future__ import annotations

from binderbox.layout import (
    AUDIT_FILE,
    BACKSTOP_FILE,
    BACKSTOP_RUN,
    BUILD_INTERFACE,
    BUILDKITD_CGROUP,
    BUILDKITD_UNIT,
    DATA,
    DOOR_STATUS,
    FETCHES_FILE,
    FIREWALL_FILE,
    FIREWALL_UNIT,
    HUB_NAMESPACE,
    K3S,
    K3S_UNIT,
    KEEPER,
    KEEPER_RUN,
    KEEPER_STATUS,
    KUBECTL_CACHE,
    LEASES,
    LOADER,
    NAMESPACE,
    TASKS,
)
from binderbox.parts.firewall.names import BINDER_PODS_SET, GROUPS_MAP, HOST_PORTS_MAP, SYSTEM_PODS_SET, TABLE

OTHERS = "nftables.service ufw.service firewalld.service netfilter-persistent.service"

UNIT = f"""\
[Unit]
Description=Firewall between pods, builds, this host and the outside
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target {K3S_UNIT} {BUILDKITD_UNIT}
After=local-fs.target systemd-sysctl.service systemd-modules-load.service {OTHERS}
# they flush every table of everybody when they load their own
ReloadPropagatedFrom={OTHERS}
ConditionPathExists={FIREWALL_FILE}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {FIREWALL_FILE}
Environment=PYTHONPATH={LOADER}
ExecReload=/usr/bin/python3 -sB -m binderbox.parts.firewall.keeper.loading {FIREWALL_FILE}
ExecStop=-/usr/sbin/nft delete table inet {TABLE}

[Install]
WantedBy=multi-user.target
"""

BACKSTOP_UNIT_TEXT = f"""\
[Unit]
Description=What the firewall falls back to when its table is flushed
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target {K3S_UNIT} {BUILDKITD_UNIT} {FIREWALL_UNIT}
After=local-fs.target systemd-sysctl.service systemd-modules-load.service
ConditionPathExists={BACKSTOP_FILE}
StartLimitIntervalSec=0

[Service]
Type=notify
RuntimeDirectory=binderbox-backstop
Environment=PYTHONPATH={KEEPER}
ExecStart=/usr/bin/python3 -sB -m binderbox.parts.firewall.backstop --table {BACKSTOP_FILE} --for-cgroup /sys/fs/cgroup/{BUILDKITD_CGROUP} {FETCHES_FILE} --told {BACKSTOP_RUN}
Restart=always
RestartSec=0
OOMScoreAdjust=-900
CapabilityBoundingSet=CAP_NET_ADMIN
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes

[Install]
WantedBy=multi-user.target
"""


def render_keeper_unit(pod_cidr: str) -> str:
    return f"""\
[Unit]
Description=Tells the firewall which pods are the member's own
After={K3S_UNIT} {FIREWALL_UNIT}
Wants={FIREWALL_UNIT}
StartLimitIntervalSec=0

[Service]
Type=notify
RuntimeDirectory=binderbox-systempods
RuntimeDirectoryMode=0700
# The token of a service account that can read pods and nothing else; Kubernetes fills it in a moment after it starts.
ExecStartPre=+/bin/sh -c "umask 077; until {K3S} kubectl --namespace {NAMESPACE} get secret node-reader --output json > {KEEPER_RUN}/secret.json && grep -q ca.crt {KEEPER_RUN}/secret.json; do sleep 0.2; done"
Environment=PYTHONPATH={KEEPER} {KUBECTL_CACHE}
ExecStart=/usr/bin/python3 -sB -m binderbox.parts.firewall.keeper --secret {KEEPER_RUN}/secret.json --rules {FIREWALL_FILE} --pod-cidr {pod_cidr} --build-interface {BUILD_INTERFACE} --tasks {TASKS} --leases {LEASES} --door-status {DOOR_STATUS} --status {KEEPER_STATUS} --told {DATA}/refused.json --audit {AUDIT_FILE} --namespace kube-system --namespace {NAMESPACE} --hub-namespace {HUB_NAMESPACE} --component hub --component proxy --component binder
# Without it nobody is trusted, and no port of the node is a pod's that may have another address by now.
ExecStopPost=-/usr/sbin/nft flush set inet {TABLE} {SYSTEM_PODS_SET}
ExecStopPost=-/usr/sbin/nft flush map inet {TABLE} {HOST_PORTS_MAP}
ExecStopPost=-/usr/sbin/nft flush map inet {TABLE} {GROUPS_MAP}
ExecStopPost=-/usr/sbin/nft flush set inet {TABLE} {BINDER_PODS_SET}
Restart=always
RestartSec=1
TimeoutStartSec=180
CapabilityBoundingSet=CAP_NET_ADMIN
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={DATA}
ProtectHome=yes
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"""
