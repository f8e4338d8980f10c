"""The units that load the firewall and tell it the system pods, as text."""

from __future__ import annotations

from binderbox.layout import FIREWALL_FILE, HUB_NAMESPACE, K3S, LIB, NAMESPACE, POD_CIDR
from binderbox.parts.firewall.rules import SYSTEM_PODS_SET, TABLE

UNIT = f"""\
[Unit]
Description=Firewall between pods, builds, this host and the outside
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target k3s.service binderbox-buildkitd.service
After=local-fs.target systemd-sysctl.service systemd-modules-load.service
ConditionPathExists={FIREWALL_FILE}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {FIREWALL_FILE}
ExecReload=/usr/sbin/nft -f {FIREWALL_FILE}
ExecStop=-/usr/sbin/nft delete table inet {TABLE}

[Install]
WantedBy=multi-user.target
"""

SYSTEMPODS_PROGRAM = f"{LIB}/systempods.py"  # keeper.py beside this file, as it is
SYSTEMPODS_RUN = "/run/binderbox-systempods"
SYSTEMPODS_UNIT = f"""\
[Unit]
Description=Tells the firewall which pods are the member's own
After=k3s.service binderbox-firewall.service
Wants=binderbox-firewall.service
StartLimitIntervalSec=0

[Service]
Type=notify
RuntimeDirectory=binderbox-systempods
RuntimeDirectoryMode=0700
# The token of a service account that can read pods and nothing else; Kubernetes fills it in a moment after it starts.
ExecStartPre=+/bin/sh -c "umask 077; until {K3S} kubectl --namespace {NAMESPACE} get secret node-reader --output json > {SYSTEMPODS_RUN}/secret.json && grep -q ca.crt {SYSTEMPODS_RUN}/secret.json; do sleep 1; done"
ExecStart=/usr/bin/python3 -I {SYSTEMPODS_PROGRAM} --secret {SYSTEMPODS_RUN}/secret.json --pod-cidr {POD_CIDR} --namespace kube-system --namespace {NAMESPACE} --hub-namespace {HUB_NAMESPACE} --component hub --component proxy --component binder
# Without it nobody is trusted.
ExecStopPost=-/usr/sbin/nft flush set inet {TABLE} {SYSTEM_PODS_SET}
Restart=always
RestartSec=1
TimeoutStartSec=180
CapabilityBoundingSet=CAP_NET_ADMIN
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"""
