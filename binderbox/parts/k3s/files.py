"""The files that make a k3s server ours, as text from plain data."""

from __future__ import annotations

import json
from collections.abc import Iterable

import yaml

from binderbox import layout
from binderbox.decide.disk import CONTAINER_LOG_FILES
from binderbox.member.model import Mirror, Networks
from binderbox.parts.binderhub import pod_rules
from binderbox.parts.builder import build_pods
from binderbox.parts.k3s.starting import AFTER_FILE, BEFORE_FILE

EVICTION_RECLAIM = "500M"
MANIFEST = f"{layout.K3S_DATA}/server/manifests/binderbox.yaml"


def render_unit(proxy: str = "") -> str:
    """`proxy` are the lines of proxies.noted."""
    return f"""\
[Unit]
Description=k3s, set up by binderbox
Documentation=https://docs.k3s.io
Wants=network-online.target {layout.BACKSTOP_UNIT}
After=network-online.target {layout.FIREWALL_UNIT} {layout.BACKSTOP_UNIT}
Requires={layout.FIREWALL_UNIT}

[Service]
Type=notify
{proxy}ExecStartPre=-/sbin/modprobe -a {" ".join(layout.MODULES)}
ExecStartPre=/bin/sh {BEFORE_FILE}
ExecStart={layout.K3S} server
ExecStartPost=/bin/sh {AFTER_FILE}
# Pods go on while the server restarts; uninstall stops them itself.
KillMode=process
Delegate=yes
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
OOMScoreAdjust=-500
# A limit would end a slow first start in the middle, again and again; who starts it waits, with a bound.
TimeoutStartSec=infinity
Restart=always
RestartSec=5s

[Install]
WantedBy=multi-user.target
"""


def render_config(node_name: str, networks: Networks) -> str:
    """k3s's own config; everything packaged that binderbox brings itself is off.

    `node_name` is fixed: a host that is renamed would else come back as a second node, with another network.
    `node-cidr-mask-size` counts at the first start only, for ever after: k3s#10442.
    """
    config = {
        "node-name": node_name,
        "disable": ["traefik", "servicelb", "local-storage", "metrics-server"],
        "disable-helm-controller": True,
        "secrets-encryption": True,
        "write-kubeconfig-mode": "0600",
        "cluster-cidr": networks.pods,
        "service-cidr": networks.services,
        "cluster-dns": networks.cluster_dns,
        "resolv-conf": layout.RESOLV_CONF,
        # how soon services are back after another program's flush of nftables; kube-proxy's own is 30 s
        "kube-proxy-arg": ["iptables-sync-period=5s"],
        "kube-controller-manager-arg": [f"node-cidr-mask-size={layout.NODE_CIDR_MASK}"],
    }
    return yaml.safe_dump(config, sort_keys=False)


def render_resolv_conf(resolvers: Iterable[str]) -> str:
    """Whom the cluster's resolver asks. Without the host's search domains: every name that a pod asks for would be asked
    there first (ndots is 5), and where a wildcard stands for the member's own domain, `api.github.com` were the member.

    Pods have IPv4 alone, so they get resolvers of IPv6 only where there are no others.
    """
    known = list(dict.fromkeys(resolvers))
    reached = [address for address in known if ":" not in address] or known
    return "".join(f"nameserver {address}\n" for address in reached)


def render_kubelet(
    *,
    max_pods: int,
    system_reserved_gb: float,
    eviction_hard_gb: float,
    image_gc_high_percent: int,
    image_gc_low_percent: int,
    container_log_mib: int,
    node_eviction_gb: float | None = None,
) -> str:
    """The kubelet's drop-in: k3s reads it from agent/etc/kubelet.conf.d since 1.32 (k3s#2116).

    + node_eviction_gb: of the kubelet's own disk, where that is not the images'
    """
    floor_gb = eviction_hard_gb if node_eviction_gb is None else node_eviction_gb
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "maxPods": max_pods,
        "podPidsLimit": 4096,
        "seccompDefault": True,  # else a pod that names no profile has none
        "systemReserved": {"memory": f"{round(system_reserved_gb * 1000)}M"},
        "evictionHard": {
            "memory.available": "200M",
            "nodefs.available": f"{floor_gb:g}G",
            "imagefs.available": f"{eviction_hard_gb:g}G",
            "nodefs.inodesFree": "3%",
            "imagefs.inodesFree": "3%",
        },
        # k3s' own 10 % of the whole disk would throw out images and pods long after there is room again
        "evictionMinimumReclaim": {
            "nodefs.available": EVICTION_RECLAIM,
            "imagefs.available": EVICTION_RECLAIM,
        },
        "imageGCHighThresholdPercent": image_gc_high_percent,
        "imageGCLowThresholdPercent": image_gc_low_percent,
        "containerLogMaxSize": f"{container_log_mib}Mi",
        "containerLogMaxFiles": CONTAINER_LOG_FILES,
    }
    return yaml.safe_dump(config, sort_keys=False)


def render_registries(
    user: str, password: str, registry_ip: str, mirrors: Iterable[Mirror] = (), docker_login: str = ""
) -> str:
    """Where containerd finds the registry, and its one credential, and the site's mirrors. Secret: root alone may read it."""
    # JSON is YAML, and leaves no doubt about quotes in a password.
    return json.dumps(
        {
            "mirrors": {
                **{one.registry: {"endpoint": list(one.endpoints)} for one in mirrors},
                layout.REGISTRY: {"endpoint": [f"http://{registry_ip}:5000"]},
            },
            # By the endpoint's address: a credential under the registry's name never reaches a mirror.
            "configs": {
                f"{registry_ip}:5000": {"auth": {"username": user, "password": password}},
                **_docker(docker_login),
            },
        },
        indent=1,
    )


def _docker(login: str) -> dict[str, object]:
    user, _, password = login.partition(":")
    return {"registry-1.docker.io": {"auth": {"username": user, "password": password}}} if password else {}


def render_manifest() -> str:
    """What every later part stands on: the namespaces, the priority of our pods, the node programs' reader, what build
    pods may.

    The door and the watcher of system pods read pods, and nothing else, with the token of `node-reader`.
    """
    reader = {"kind": "ServiceAccount", "name": "node-reader", "namespace": layout.NAMESPACE}
    labels = {"app.kubernetes.io/managed-by": "binderbox"}
    objects = [
        *(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
            for name in (layout.NAMESPACE, layout.HUB_NAMESPACE)
        ),
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "binderbox-system", "labels": labels},
            "value": 10000,  # above user pods: mybinder.org-deploy 06864b47
            "description": "the member's own parts; a user pod goes first",
        },
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": reader["name"], "namespace": reader["namespace"], "labels": labels},
            "automountServiceAccountToken": False,
        },
        {
            # BinderHub gives its build pods no account of their own, and a build has no use for a token.
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": layout.HUB_NAMESPACE, "labels": labels},
            "automountServiceAccountToken": False,
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": {
                "name": "node-reader",
                "namespace": layout.NAMESPACE,
                "labels": labels,
                "annotations": {"kubernetes.io/service-account.name": "node-reader"},
            },
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "binderbox-node-reader", "labels": labels},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "binderbox-node-reader", "labels": labels},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "binderbox-node-reader",
            },
            "subjects": [reader],
        },
        *build_pods.policy(labels),
        *pod_rules.policy(labels),
    ]
    return yaml.safe_dump_all(objects, sort_keys=False)
