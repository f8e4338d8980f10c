"""What is true of a host before anything is decided: plain frozen data, gathered elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from binderbox import layout
from binderbox.decide import resolvers
from binderbox.decide.certificates import Received
from binderbox.decide.drain import Drain, parse_record

OTHER_CLUSTERS = (
    "kubelet.service",
    "k3s-agent.service",
    "rke2-server.service",
    "rke2-agent.service",
    "k0scontroller.service",
    "snap.microk8s.daemon-kubelite.service",
)
DOCKER = "docker.service"


@dataclass(frozen=True)
class Listener:
    """A socket that waits for connections; `owner` is the process name, `unit` its systemd unit."""

    port: int
    proto: str
    address: str = ""
    owner: str = ""
    pid: int | None = None
    unit: str = ""


@dataclass(frozen=True)
class Reach:
    """Whether `target` (host:port) answered a connection from the host, and why not."""

    target: str
    ok: bool
    error: str = ""


@dataclass(frozen=True)
class Disk:
    """One file system: its size, what is free, what of it is our files, and what else took at the first install; in GB."""

    size_gb: float
    free_gb: float
    ours_gb: float = 0.0
    recorded_other_gb: float | None = None


@dataclass(frozen=True)
class Applied:
    """The config that the last run applied on the node."""

    text: str
    sha256: str = ""
    who: str = ""
    when: str = ""


@dataclass(frozen=True)
class HostFacts:
    """A host as it was found.

    Sizes in GB (10^9 bytes), times in the unit of their name; `None` where it could not be found out.
    """

    name: str
    os_id: str
    os_version: str
    arch: str
    kernel: str
    cpus: int
    ram_gb: float
    swap_gb: float
    disk_gb: float
    disk_free_gb: float
    fsync_ms: float | None
    clock_offset_s: float | None
    clock_synced: bool | None
    cgroup_version: int
    missing_modules: tuple[str, ...]
    missing_packages: tuple[str, ...]
    listeners: tuple[Listener, ...]
    outbound: tuple[Reach, ...]
    resolvers: tuple[str, ...]
    address: str
    interface: str
    addresses: tuple[str, ...]
    sudo: bool
    ssh_ports: tuple[int, ...] = (22,)
    applied: Applied | None = None
    followed: str | None = None
    drain: Drain | None = None  # None: in rotation, as far as the node is asked
    bundle_sha256: str | None = None  # the digest of the lock that an operator has accepted
    bundle_lock: str | None = None  # that lock, when the node was installed from a bundle
    records: str | None = None  # artifacts.lock.json
    versions: str | None = None  # a site's own pins
    secrets: tuple[str, ...] = ()
    installed_units: tuple[str, ...] = ()
    other_units: Mapping[str, str] = field(
        default_factory=dict
    )  # those above that exist, with their ActiveState
    begun: bool = False  # whether an install has begun here, though it may not have got far
    disk_used_gb: float = 0.0  # as df says it; what a file system reserves is neither used nor free
    recorded_other_gb: float | None = None  # of `disk`: what else took of the disk at the first install
    own_resolvers: tuple[str, ...] = ()  # whom the host's own programs ask; `resolvers` is whom pods can ask
    # `disk_gb` and what belongs to it are of the data's file system; None: the same one
    images_disk: Disk | None = None  # that of k3s's directory
    node_disk: Disk | None = None  # that of the kubelet's, where it is not k3s's
    mtu: int = 0  # of `interface`; 0 where it is not known
    ssh_tunnel: str = ""  # the interface by which ssh came, where that is a tunnel
    host_name: str = ""
    identity: str = ""  # of this machine and nobody else's, and no secret
    node_name: str = ""  # what k3s was told to call this node at its first start; "" before that
    inner_networks: tuple[str, ...] = ()  # of pods and services, as k3s had them at its first start
    networks: tuple[
        tuple[str, str], ...
    ] = ()  # (interface, network), of addresses and routes, without our own
    filters: tuple[
        str, ...
    ] = ()  # firewalls that are on: a program's name, or "chain TABLE NAME" with policy drop
    hidepid: str = ""
    container: str = ""  # what systemd says of the container this is, "none" or "" for a machine
    selinux: str = ""
    apparmor: bool = False  # whether the kernel has it on, and the program that loads profiles is here
    lockdown: str = ""  # of the kernel: none, integrity or confidentiality, "" where it has none
    missing_options: tuple[str, ...] = ()  # of layout.PROBE_OPTIONS, where the kernel's config can be read
    sshd: Mapping[str, str] = field(
        default_factory=dict
    )  # limits of its own server, as `sshd -T` has them, lower case
    trials: tuple[tuple[str, str, str], ...] = ()  # (path, what failed there: write, exec or overlay, why)
    received: Mapping[str, tuple[Received, ...]] = field(
        default_factory=dict
    )  # certificates of an authority, by the file that the ingress keeps them in
    ours_gb: float = 0.0  # what our own data already takes, so that a second run plans the same ceilings


def make_facts(raw: Mapping[str, Any]) -> HostFacts:
    """Build HostFacts from the mapping that `world.gather` returns; a missing key raises KeyError."""
    known = {name: raw[name] for name in HostFacts.__dataclass_fields__ if name in raw}
    if "resolver_files" in raw:
        known |= _resolvers(raw["resolver_files"])
    lists = (
        "missing_modules",
        "missing_packages",
        "resolvers",
        "own_resolvers",
        "addresses",
        "secrets",
        "inner_networks",
        "installed_units",
    )
    known |= {name: tuple(known[name]) for name in lists if name in known}
    known |= {name: tuple(map(tuple, known[name])) for name in ("networks", "trials") if name in known}
    known |= {"filters": tuple(known.get("filters", ()))}
    known["ssh_ports"] = tuple(known.get("ssh_ports") or (22,))
    known["listeners"] = tuple(Listener(**one) for one in raw["listeners"])
    known["outbound"] = tuple(Reach(**one) for one in raw["outbound"])
    known["applied"] = Applied(**raw["applied"]) if raw.get("applied") else None
    known["drain"] = None if raw.get("drain") is None else parse_record(raw["drain"])
    return HostFacts(**known)


def _resolvers(texts: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    own = texts.get(layout.HOST_RESOLV_CONF, "")
    upstreams = [text for path, text in texts.items() if path != layout.HOST_RESOLV_CONF]
    return {"resolvers": resolvers.for_pods(own, upstreams), "own_resolvers": resolvers.nameservers(own)}
