"""Everything that is to be known of a host before deciding, by one script in one round trip.

`gather` returns the mapping that `facts.make_facts` takes: the keys are the fields of HostFacts, listeners and outbound
as lists of mappings with the fields of Listener and Reach, `applied` as a mapping with those of Applied or None; and
`resolver_files`, path to text, from which the resolvers follow.
The script is `gather.sh` with its four parts; it changes nothing, and needs no more than a bare Debian or Ubuntu has.

`outbound` tries the host's own package sources (or the proxy set for them) and the given targets, each for 3 s and
all at once. Sizes are in units of 10^9 bytes.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import time
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

from binderbox import layout
from binderbox.decide.facts import DOCKER, OTHER_CLUSTERS, Disk
from binderbox.errors import StepFailed
from binderbox.world.host.hosts import Host
from binderbox.world.host.numbers import parse_numbers
from binderbox.world.host.received import parse_received
from binderbox.world.host.sockets import parse_listeners, parse_proc_net

SCRIPTS = ("gather.sh", "gather-machine.sh", "gather-surroundings.sh", "gather-traps.sh", "gather-ours.sh")
FSYNC_WRITES = 50  # dd's count in the script
OWN_INTERFACES = (
    "lo",
    layout.POD_INTERFACE,
    layout.BUILD_INTERFACE,
    layout.CANARY_INTERFACE,
    "flannel",
    "veth",
    "docker",
    "br-",
)
LIMIT_S = 120.0
OTHERS = ("other_gb", "other_data_gb", "other_node_gb")  # of the record: see host.applied
# linux/if_arp.h: NONE (WireGuard, tun), PPP, TUNNEL, SIT, IPGRE
TUNNEL_TYPES = ("65534", "512", "768", "776", "778")

Sections = Mapping[str, list[str]]


def gather(
    host: Host, *, targets: Iterable[str] = (), data_dir: str = layout.DATA, brief: bool = False
) -> dict[str, Any]:
    """Look at the host. `targets` are host:port pairs to reach from it; `data_dir` counts until a config is applied.

    `brief` leaves out what takes seconds and only an install asks: the disk's speed, the size of our files, the Internet.
    """
    sent = time.time()
    output = host.connection.run(render_script(targets, data_dir, brief), timeout_s=LIMIT_S)
    took = time.time() - sent
    sections = split_sections(output.text)
    if "end" not in sections:
        raise StepFailed(
            f"{host.name}: the host could not be looked at", cause=output.tail(), log=host.log.path
        )
    begin, end = (float(sections[name][0]) for name in ("begin", "end"))
    offset_s = begin - (sent + (took - (end - begin)) / 2)  # what was not spent there went half each way
    return {"name": host.name, "sudo": True, "clock_offset_s": round(offset_s, 3), **parse_sections(sections)}


def render_script(targets: Iterable[str], data_dir: str, brief: bool = False) -> str:
    """The script with its settings before it."""
    settings = {
        "PACKAGES": " ".join(layout.PACKAGES),
        "MODULES": " ".join(layout.MODULES),
        "PROBES": " ".join(layout.PROBE_OPTIONS),
        "UNITS": " ".join(layout.UNITS),
        "OTHERS": " ".join((*OTHER_CLUSTERS, DOCKER)),
        "TARGETS": " ".join(targets),
        "OWN_PATHS": layout.K3S_DATA,
        "DATA_DIR": data_dir,
        "DISK_STATE": layout.DISK_STATE,
        "ETC": layout.ETC,
        "RESOLVER_FILES": " ".join((layout.HOST_RESOLV_CONF, *layout.UPSTREAM_RESOLVERS)),
        "BRIEF": "1" if brief else "",
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
    texts = [(files("binderbox.world.host") / name).read_text() for name in SCRIPTS]
    return "\n".join([*lines, *texts])


def split_sections(text: str) -> dict[str, list[str]]:
    """The script's output, by section; empty lines are left out."""
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("== "):
            lines = sections.setdefault(line[3:], [])
        elif line:
            lines.append(line)
    return sections


def parse_sections(found: Sections) -> dict[str, Any]:
    """Sections to the fields of HostFacts that the script answers."""
    system = dict(line.partition("=")[::2] for line in found["system"])
    memory = {line.split(":")[0]: int(line.split()[1]) * 1024 / 1e9 for line in found["memory"]}
    sockets = found.get("sockets")
    listeners = (
        parse_listeners(found["listeners"], found.get("owners", []))
        if sockets is None
        else parse_proc_net(sockets)
    )
    applied = _applied(found)
    recorded = {key: applied.pop(key, None) if applied else None for key in OTHERS}
    used_gb = int(found["disk"][0].split()[2]) / 1e9
    way = _addresses(found["route"], found["addresses"])
    data, images, node = _disks(found["disks"], found["ours"], recorded)
    return {
        **{key: system[key] for key in ("os_id", "os_version", "arch", "kernel")},
        "cpus": int(system["cpus"]),
        "ram_gb": round(memory["MemTotal"], 2),
        "swap_gb": round(memory.get("SwapTotal", 0.0), 2),
        "disk_gb": data.size_gb,
        "disk_used_gb": used_gb,
        "disk_free_gb": data.free_gb,
        "ours_gb": data.ours_gb,
        "recorded_other_gb": data.recorded_other_gb,
        "images_disk": images,
        "node_disk": node,
        "fsync_ms": _fsync_ms(found["fsync"]),
        "clock_synced": {"yes": True, "no": False}.get(_first(found["clock"])),
        "cgroup_version": 2 if _first(found["cgroup"]) == "cgroup2fs" else 1,
        "missing_modules": tuple(found["modules"]),
        "missing_packages": _missing_packages(found["packages"]),
        "listeners": listeners,
        "ssh_ports": _ssh_ports(found["ssh"], listeners),
        "ssh_tunnel": _tunnel(_first(found["ssh-way"])),
        "outbound": [_reach(line) for line in found["reach"]],
        "resolver_files": _texts(found["resolvers"]),
        **way,
        "mtu": parse_numbers("\n".join(found["mtus"])).get(f"/sys/class/net/{way['interface']}/mtu", 0),
        "identity": _first(found.get("identity", [])),
        "host_name": _first(found["name"]),
        "node_name": _first(found["name"][1:]),
        "inner_networks": tuple(line.strip() for line in found["inner"]),
        "networks": _networks(found["networks"]),
        "filters": tuple(found["filters"]),
        "hidepid": _first(found["hidepid"]).partition("=")[2],
        "container": _first(found["virt"]),
        "selinux": _first(found["selinux"]),
        "apparmor": bool(found["apparmor"]),
        **_probes(found["probes"]),
        "sshd": dict(line.lower().split(None, 1) for line in found["sshd"]),
        "trials": tuple(tuple(line.split("|", 2)) for line in found["trials"]),
        "secrets": tuple(found["secrets"]),
        "installed_units": _units(found["units"]),
        "other_units": _others(found["others"]),
        "begun": bool(found["begun"]),
        "applied": applied,
        "followed": _decoded(found["followed"]),
        "drain": (_decoded(found["drain"][1:]) or "") if found["drain"] else None,
        "bundle_sha256": _first(found["bundle"]) or None,
        "bundle_lock": _decoded(found["lock"]),
        "records": _decoded(found["records"]),
        "versions": _decoded(found["versions"]),
        "received": parse_received(found.get("received", [])),
    }


def _probes(lines: list[str]) -> dict[str, Any]:
    pairs = [line.partition("=")[::2] for line in lines]
    return {
        "lockdown": dict(pairs).get("lockdown", ""),
        "missing_options": tuple(value for key, value in pairs if key == "missing"),
    }


def _first(lines: list[str]) -> str:
    return lines[0].strip() if lines else ""


def _decoded(lines: list[str]) -> str | None:
    return base64.b64decode("".join(lines)).decode(errors="replace") if lines else None


def _fsync_ms(lines: list[str]) -> float | None:
    """dd's last line, `204800 bytes ... copied, 0.0305 s, ...`, to milliseconds a write; None if it could not write."""
    copied = re.search(r"copied, ([0-9.e+-]+) s", _first(lines))
    return round(float(copied[1]) * 1000 / FSYNC_WRITES, 2) if copied else None


def _disks(
    lines: list[str], ours: list[str], recorded: Mapping[str, float | None]
) -> tuple[Disk, Disk | None, Disk | None]:
    """The data's file system; that of images where it is another one; and the kubelet's where it is not that of images.

    + ours: du's lines, of the data, of k3s, and the sum, or what the disk's job has measured; none where it took too long, and
      then what a disk holds beyond the others' recorded part is ours
    """
    devices = [int(line.split()[0]) for line in lines]
    sizes = [tuple(int(line.split()[at]) / 1e9 for at in (2, 4)) for line in lines]
    measured = [int(line.split()[0]) / 1e9 for line in ours] if ours and ours[-1].endswith("total") else []
    others = {} if measured else _others_measured(ours)

    def disk(at: int, taken: float | None, other_gb: float | None, name: str) -> Disk:
        size_gb, free_gb = sizes[at]
        otherwise = max(0.0, size_gb - free_gb - others.get(name, other_gb or 0.0))
        return Disk(size_gb, free_gb, otherwise if taken is None else taken, other_gb)

    def same(one: int, other: int) -> bool:
        """Subvolumes and overlays have numbers of their own, of no device, and the sizes of what they lie on."""
        no_device = not (os.major(devices[one]) and os.major(devices[other]))
        (size_gb, free_gb), (its_gb, its_free_gb) = sizes[one], sizes[other]
        alike = size_gb == its_gb and abs(free_gb - its_free_gb) < 0.001 * size_gb
        return devices[one] == devices[other] or (no_device and alike)

    together = same(0, 1)
    of_data, of_images = (measured[0], measured[1]) if len(measured) == 3 else (None, None)
    data = (
        disk(0, measured[-1] if measured else None, recorded["other_gb"], "images")
        if together
        else disk(0, of_data, recorded["other_data_gb"], "data")
    )
    images = None if together else disk(1, of_images, recorded["other_gb"], "images")
    node = None if same(2, 1) else disk(2, 0.0, recorded["other_node_gb"], "kubelet")
    return data, images, node


def _others_measured(lines: list[str]) -> dict[str, float]:
    """File system to GB that others take, of the disk's job; {} where it has not told."""
    try:
        found = json.loads(_decoded(lines) or "{}")
        return {name: size / 1e9 for name, size in found["other_bytes"].items()}
    except (ValueError, KeyError, AttributeError, TypeError):
        return {}


def _missing_packages(lines: list[str]) -> tuple[str, ...]:
    there = {line.split()[0] for line in lines if line.endswith(" installed")}
    return tuple(name for name in layout.PACKAGES if name not in there)


def _ssh_ports(told: list[str], listeners: list[dict[str, Any]]) -> tuple[int, ...]:
    ports = {int(line) for line in told if line.isdigit()}
    ports |= {
        one["port"]
        for one in listeners
        if one["owner"] == "sshd" or one["unit"] in ("ssh.socket", "sshd.socket")
    }
    return tuple(sorted(ports)) or (22,)


def _tunnel(way: str) -> str:
    """The interface, where it has no link layer of its own; `way` is a name and its type."""
    name, _, kind = way.partition(" ")
    return name if kind in TUNNEL_TYPES else ""


def _reach(line: str) -> dict[str, Any]:
    target, code, *said = line.split(" ", 2)
    reason = re.sub(r"^\S+: (?:connect: |line \d+: (?:\S+: )?)", "", said[0]) if said else ""
    return {
        "target": target,
        "ok": code == "0",
        "error": "" if code == "0" else "no answer within 3 s" if code == "124" else reason or "refused",
    }


def _addresses(routes: list[str], listed: list[str]) -> dict[str, Any]:
    """The address and interface of the default route (IPv4 first), and all addresses that are not ours."""
    pairs: list[tuple[str, str]] = []
    for line in listed:
        fields = line.split()
        if not fields[1].startswith(OWN_INTERFACES):
            pairs.append((fields[1].split("@")[0], fields[3].partition("/")[0]))
    interface = address = ""
    for line in routes:
        words = line.removeprefix("6 ").split()
        if "dev" in words:
            interface = words[words.index("dev") + 1]
            six = line.startswith("6 ")
            own = [address for name, address in pairs if name == interface and (":" in address) == six]
            address = words[words.index("src") + 1] if "src" in words else _first(own)
            break
    return {"interface": interface, "address": address, "addresses": tuple(address for _, address in pairs)}


def _texts(lines: list[str]) -> dict[str, str]:
    """Path to text, of files that each come after a line `file PATH`."""
    texts: dict[str, str] = {}
    path = ""
    for line in lines:
        if line.startswith("file /"):
            path = line.removeprefix("file ")
            texts[path] = ""
        else:
            texts[path] += f"{line}\n"
    return texts


def _networks(lines: list[str]) -> tuple[tuple[str, str], ...]:
    """(interface, network) of each address and each route that is not of our own interfaces; "10.1.2.3" is a /32."""
    pairs = dict.fromkeys(tuple(line.split(None, 1)) for line in lines)
    return tuple((name, network.strip()) for name, network in pairs if not name.startswith(OWN_INTERFACES))


def _units(lines: list[str]) -> tuple[str, ...]:
    """Id and LoadState, in turns."""
    return tuple(name for name, state in zip(lines[::2], lines[1::2], strict=False) if state == "loaded")


def _others(lines: list[str]) -> dict[str, str]:
    """Id, LoadState and ActiveState, in turns; those that exist."""
    turns = zip(lines[::3], lines[1::3], lines[2::3], strict=False)
    return {name: active for name, load, active in turns if load != "not-found"}


def _applied(found: Sections) -> dict[str, Any] | None:
    text = _decoded(found["member"])
    if text is None:
        return None
    try:
        record = json.loads("\n".join(found["applied"]) or "{}")
    except ValueError:  # cut off by a power cut; the next install writes it anew
        record = {}
    return {
        "text": text,
        **{key: record[key] for key in ("sha256", "who", "when", *OTHERS) if key in record},
    }
