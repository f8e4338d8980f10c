"""Where everything of ours lies on a node, and the few addresses that never change after the first start.

Paths are absolute and as text, because they end up in unit files, commands and charts.
"""

ETC = "/etc/binderbox"
SECRETS = f"{ETC}/secrets"
CA = f"{ETC}/ca"
MEMBER_FILE = f"{ETC}/member.yaml"
APPLIED_FILE = f"{ETC}/applied.json"
FOLLOWED_FILE = f"{ETC}/followed.toml"
FIREWALL_FILE = f"{ETC}/firewall.nft"
BACKSTOP_FILE = f"{ETC}/backstop.nft"
BUILDS_PROFILE, BUILDS_PROFILE_FILE = "binderbox-builds", f"{ETC}/builds.apparmor"
FETCHES_FILE = f"{ETC}/fetches.nft"  # there where nftables can tell buildkitd from others
DRAIN_FILE = f"{ETC}/drain"  # there while the member is drained; says why, since when and by whom
BUNDLE_FILE = f"{ETC}/bundle.sha256"
BUNDLE_LOCK_FILE = f"{ETC}/bundle.lock.json"
RECORDS_FILE = f"{ETC}/artifacts.lock.json"  # what publishers stated of what is here
DOCKER_LOGIN = "docker-io-login"  # the secret's name: user:token
PROXY_FILE = f"{ETC}/proxy.env"  # with its login, so root's alone
VERSIONS_FILE = f"{ETC}/versions.toml"  # a site's own pins

DATA = "/var/lib/binderbox"
AUDIT_FILE = f"{DATA}/audit.log"
AUDIT_BEFORE = f"{AUDIT_FILE}.1"  # what was in it before it was too long
ARTIFACTS = f"{DATA}/artifacts"
CHARTS = f"{DATA}/charts"
INGRESS_ROUTES = (
    f"{DATA}/ingress"  # what the ingress watches: files of routes that the node adds to the chart's own
)
IDENTITY_PATH = "/.well-known/binderbox"  # where the ingress says, on port 80, which host it is of
DRAIN_ROUTES_FILE = f"{INGRESS_ROUTES}/drain.yml"
ORDER_ROUTES_FILE = f"{INGRESS_ROUTES}/order.yml"

LIB = "/usr/local/lib/binderbox"
BIN = f"{LIB}/bin"
CNI = f"{LIB}/cni"  # the plugins of the builds' network
ENGINE = f"{LIB}/engine"
DOOR = f"{LIB}/door"
LOADER = f"{LIB}/loader"  # what loads the firewall anew
KEEPER = f"{LIB}/firewall"
KEEPER_RUN = "/run/binderbox-systempods"
KEEPER_STATUS = f"{KEEPER_RUN}/status.json"

FETCH = f"{LIB}/fetch"

AGENT = f"{LIB}/agent"
AGENT_CONFIG = f"{ETC}/agent.json"
AGENT_DATA = f"{DATA}/agent"
FOLLOW_HOLD = f"{ETC}/follow.hold"
FOLLOW_STATE = f"{AGENT_DATA}/follow.json"
FOLLOW_SWITCH = f"{AGENT_DATA}/switch.json"
FOLLOW_GUARD_SWITCH = f"{AGENT_DATA}/switch-guard.json"
HUB_DATABASE = "jupyterhub.sqlite"  # in the folder hub of the data directory
HUB_DATABASE_COPY = f"{AGENT_DATA}/hub.before.sqlite"
WATCH_STATE = f"{AGENT_DATA}/watch.json"
ABUSE_STATE = f"{AGENT_DATA}/abuse.json"
GUARD_STATE = f"{AGENT_DATA}/guard.json"
RETENTION_STATE = f"{AGENT_DATA}/retention.json"
DISK_STATE = f"{AGENT_DATA}/disk.json"
DISK_HISTORY = f"{AGENT_DATA}/disk.history.json"
METRICS_FILE = (
    f"{DATA}/metrics/binderbox.prom"  # for node_exporter's textfile collector, where somebody runs one
)
RETENTION_MEMORY = f"{AGENT_DATA}/retention.sqlite"
BANS_VALUES = f"{AGENT_DATA}/bans.values.json"  # what of the node's bans is in force
ORDERS_RECORD = f"{AGENT_DATA}/orders.json"
WATCH_RECORD = f"{AGENT_DATA}/watch.record.json"
FOLLOW_VERSIONS = f"{AGENT_DATA}/versions.json"

HOST_RESOLV_CONF = "/etc/resolv.conf"
# Patterns of files that name the resolvers behind one on the loopback; the first that names any counts. By
# systemd-resolved(8), NetworkManager.conf(5) (rc-manager), resolvconf(8) for dnsmasq and unbound, dhclient.leases(5).
UPSTREAM_RESOLVERS = (
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
    "/run/dnsmasq/resolv.conf",
    "/run/resolvconf/interface/*",
    "/var/lib/dhcp/dhclient*.leases",
)
SYSCTL_FILE = "/etc/sysctl.d/zz-binderbox.conf"  # the last name wins, and hardening roles write 99-*
NEEDRESTART = "/etc/needrestart"
NEEDRESTART_FILE = f"{NEEDRESTART}/conf.d/binderbox.conf"
OLD_SYSCTL_FILE = "/etc/sysctl.d/90-binderbox.conf"
MODULES_FILE = "/etc/modules-load.d/binderbox.conf"
JOURNALD_FILE = "/etc/systemd/journald.conf.d/50-binderbox.conf"
TMPFILES_FILE = "/etc/tmpfiles.d/binderbox.conf"
HEADERS_TREE = "/tmp/cryptnono"  # its chart's own place: templates/daemonset.yaml
NODE_CA = "/etc/ssl/certs/ca-certificates.crt"  # whom the host trusts, extra_ca among them
EXTRA_CA = "/usr/local/share/ca-certificates/binderbox-"  # and a number; what update-ca-certificates reads

RUN = "/run/binderbox"
KUBECTL_CACHE = f"KUBECACHEDIR={RUN}/kubectl"  # kubectl and helm would keep theirs in a home, or in /.kube
AGENT_PYTHON = (
    KUBECTL_CACHE,
    f"PYTHONPATH={AGENT}",
    f"PYTHONPYCACHEPREFIX={RUN}/pycache",  # a look each minute costs 0.2 s of a processor so, and 0.7 s without
)
FOLLOW_NOW = f"{RUN}/follow.now"
RETENTION_NOW = f"{RUN}/retention.now"
PUSH_LOCK = f"{RUN}/push.lock"
FETCH_RUN = f"{RUN}/fetch"
FETCH_AHEAD = f"{FETCH_RUN}/ahead.json"  # what FETCH_UNIT brings while an install goes on
UNPACK_AHEAD = f"{FETCH_RUN}/archives.json"  # what UNPACK_UNIT unpacks meanwhile
BACKSTOP_RUN = "/run/binderbox-backstop"  # which cgroup each of its tables is for
HEADERS_SAID = f"{RUN}/headers"  # the kernel whose headers are laid out for cryptnono
DOOR_RUN = f"{RUN}/door"
DOOR_STATUS = f"{RUN}/door-status.json"  # beside the directory that build pods see, not in it
DOOR_SOCKET = f"{DOOR_RUN}/door.sock"
BUILDKIT_SOCKET = f"{RUN}/buildkit/buildkitd.sock"

K3S = "/usr/local/bin/k3s"
KUBECTL = "/usr/local/bin/kubectl"
RESOLV_CONF = f"{ETC}/resolv.conf"  # what pods get: the resolvers of the host, and no search domain
K3S_DATA = "/var/lib/rancher/k3s"
K3S_CONFIG = "/etc/rancher/k3s/config.yaml"
K3S_REGISTRIES = "/etc/rancher/k3s/registries.yaml"
K3S_IMAGES = f"{K3S_DATA}/agent/images"
OLD_IMAGE_LISTS = (
    f"{K3S_IMAGES}/binderbox-followed.txt",
    f"{K3S_IMAGES}/binderbox.txt",
)  # k3s pulled from these
KUBELET_CONFIG = f"{K3S_DATA}/agent/etc/kubelet.conf.d/50-binderbox.conf"
KUBECONFIG = "/etc/rancher/k3s/k3s.yaml"
IMAGE_PIN = "io.cri-containerd.pinned"  # containerd's own label: the kubelet's image GC leaves such an image
CONTAINERD_SOCKET = "/run/k3s/containerd/containerd.sock"
CONTAINERD_ROOT = f"{K3S_DATA}/agent/containerd"
LEASES = "/var/lib/cni/networks/buildkit"  # host-local's, of addresses of build steps
TASKS = "/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io"  # containerd's bundles of what runs
RUNC = f"{K3S_DATA}/data/current/bin/runc"
STEP_RUNC = f"{BIN}/step-runc"  # what BuildKit has containerd start for a step

API = "https://127.0.0.1:6443"
_TLS = f"{K3S_DATA}/server/tls"
# The node's own credential as k3s lays it down, and so curl, which costs a fifth of kubectl's processor time.
API_CURL = (
    *("curl", "-sS", "--fail", "--cacert", f"{_TLS}/server-ca.crt"),
    *("--cert", f"{_TLS}/client-admin.crt", "--key", f"{_TLS}/client-admin.key"),
)

SYSTEMD = "/etc/systemd/system"
WATCH_TIMER = "binderbox-watch.timer"
FOLLOW_TIMER = "binderbox-follow.timer"
ABUSE_TIMER = "binderbox-abuse.timer"
ABUSE_SERVICE = "binderbox-abuse.service"
GUARD_TIMER = "binderbox-guard.timer"
RETENTION_TIMER = "binderbox-retention.timer"
RETENTION_SERVICE = "binderbox-retention.service"
DISK_TIMER = "binderbox-disk.timer"
HEADERS_UNIT = "binderbox-headers.service"
HEADERS_INSTALL_UNIT = "binderbox-headers-install.service"
KEEPER_UNIT = "binderbox-systempods.service"
DOOR_UNIT = "binderbox-door.service"
BUILDKITD_UNIT = "binderbox-buildkitd.service"
BUILDKITD_CGROUP = f"system.slice/{BUILDKITD_UNIT}"
K3S_UNIT = "k3s.service"
FIREWALL_UNIT = "binderbox-firewall.service"
BACKSTOP_UNIT = "binderbox-backstop.service"
TAKE_BACK_UNIT = "binderbox-take-back"  # a timer, from the firewall's first load until ssh has come in anew
UNPACK_UNIT = "binderbox-unpack.service"  # there only while an install unpacks a bundle's images ahead
FETCH_UNIT = "binderbox-fetch.service"  # there only while an install fetches ahead
SAMPLE_UNIT = "binderbox-sample.service"  # there only while a sample is being launched
UNITS = (
    WATCH_TIMER,
    FOLLOW_TIMER,
    ABUSE_TIMER,
    GUARD_TIMER,
    RETENTION_TIMER,
    DISK_TIMER,
    HEADERS_INSTALL_UNIT,
    HEADERS_UNIT,
    KEEPER_UNIT,
    DOOR_UNIT,
    BUILDKITD_UNIT,
    K3S_UNIT,
    BACKSTOP_UNIT,
    FIREWALL_UNIT,
)  # in the order in which uninstall stops them

NAMESPACE = "binderbox"
HUB_NAMESPACE = "binderhub"
REGISTRY_LOGS = f"/var/log/pods/{NAMESPACE}_registry-*/registry/*.log*"

NODE_CIDR_MASK = 22  # k3s gives a node a /24, which caps it at 254 pods for ever: k3s#10442
POD_INTERFACE = "cni0"
BUILD_INTERFACE = "bbxbuild0"
# Where a proof scans: an interface that leads nowhere, with a network (of RFC 2544's) that counts as public behind it.
CANARY_INTERFACE = "bbxcanary0"
CANARY_NETWORK = "198.18.254.0/24"

REGISTRY = "registry.binderbox.svc:5000"
REGISTRY_USER = "binderbox"
IMAGE_PREFIX = f"{REGISTRY}/i-"
BUCKET = "registry"
REGISTRY_ROOT = "docker/registry/v2/"  # of its objects' names: distribution, registry/storage/paths.go
REGISTRY_KEYS = (
    "s3-registry-access-key",
    "s3-registry-secret-key",
)  # secrets, of the node's own object store
STORE_KEYS = ("s3-access-key", "s3-secret-key")  # secrets, of an object store that is somebody else's
OBJECTSTORE_PORT = 9000
BINDER_PORT = 8585  # BinderHub's own

OUR_SLICE = "binderbox.slice"  # beside Kubernetes' pods
BUILDS_SLICE = "binderbox-builds.slice"
# where a node has it: cgroup v2, v1, and a hybrid, whose own hierarchy is systemd's
BUILDS_SLICE_DIRS = tuple(
    f"/sys/fs/cgroup/{hierarchy}{OUR_SLICE}/{BUILDS_SLICE}" for hierarchy in ("", "systemd/", "unified/")
)
BUILDS_MEMORY_DIRS = tuple(
    f"/sys/fs/cgroup/{hierarchy}{OUR_SLICE}/{BUILDS_SLICE}" for hierarchy in ("", "memory/")
)
# cgroup v1 freezes by a hierarchy of its own, which systemd does not look after.
BUILDS_FREEZER = f"/sys/fs/cgroup/freezer/{OUR_SLICE}/{BUILDS_SLICE}"
SAMPLE_PORT = 9418  # git's own port; something listens there only while a sample is being launched

PACKAGES = (
    "ca-certificates",
    "conntrack",
    "curl",
    "ethtool",
    "git",
    "iproute2",
    "iptables",
    "kmod",
    "nftables",
    "python3",
    "python3-yaml",
    "socat",
    "xz-utils",
    "zstd",
)  # what k3s, kube-proxy, the door and the proof need on a bare Debian or Ubuntu
# k3s carries pods by vxlan and enforces network policies with ip_set, and says late that it cannot.
MODULES = ("br_netfilter", "overlay", "nf_conntrack", "nf_tables", "vxlan", "ip_set")
# What the kernel of a host must have been built with for cryptnono to attach, which is all that needs them.
PROBE_OPTIONS = ("CONFIG_KPROBES", "CONFIG_BPF_SYSCALL", "CONFIG_BPF_EVENTS")

# What an uninstall without --purge leaves: data, secrets and the config.
KEPT = (ETC, f"{DATA}/objectstore", f"{DATA}/hub", f"{DATA}/traefik", AUDIT_FILE, AUDIT_BEFORE)
# In the config's own `data_dir`, whatever else is there: what stays as well, and what goes.
OWN_KEPT, OWN_GOES = ("objectstore", "hub", "traefik"), ("buildkit", "door")

# What the scripts that are sent to a host need to know of the above, as arguments of theirs.
SCRIPT_SETTINGS = (
    f"SYSTEMD={SYSTEMD}",
    f"K3S_UNIT={K3S_UNIT}",
    f"K3S={K3S}",
    f"KUBECTL={KUBECTL}",
    f"K3S_DATA={K3S_DATA}",
    f"LIB={LIB}",
    f"RUN={RUN}",
    f"DATA={DATA}",
    f"KEPT={' '.join(KEPT)}",
    f"MEMBER_FILE={MEMBER_FILE}",
    f"OWN_KEPT={' '.join(OWN_KEPT)}",
    f"OWN_GOES={' '.join(OWN_GOES)}",
    f"FILES={SYSCTL_FILE} {OLD_SYSCTL_FILE} {MODULES_FILE} {JOURNALD_FILE} {TMPFILES_FILE} {HEADERS_TREE} {NEEDRESTART_FILE}",
    f"BUILDS_PROFILE={BUILDS_PROFILE}",
    f"EXTRA_CA={EXTRA_CA}",
    f"JOURNALD_FILE={JOURNALD_FILE}",
    f"INTERFACES={POD_INTERFACE} flannel.1 flannel-v6.1 {BUILD_INTERFACE} {CANARY_INTERFACE} kube-ipvs0",
)
