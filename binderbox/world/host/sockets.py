"""Who listens on a host: from `ss -Hltnup` with the cgroups of the processes, or from /proc/net where there is no ss.

Both give a list of mappings with the fields of facts.Listener. `unit` is the deepest systemd unit of the process's
cgroup (`ssh.service`, `cri-containerd-<id>.scope`), or `kubepods` for a pod under the cgroupfs driver.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any


def parse_listeners(lines: list[str], owners: list[str]) -> list[dict[str, Any]]:
    """`ss` lines and lines of `pid cgroup-path` to listeners; who has no path ended meanwhile and holds nothing."""
    paths = {int(pid): path for pid, _, path in (line.partition(" ") for line in owners)}
    found: list[dict[str, Any]] = []
    for line in lines:
        fields = line.split()
        if len(fields) < 5 or fields[0] not in ("tcp", "udp"):
            continue
        address, _, port = fields[4].rpartition(":")
        user = re.search(r'\("([^"]*)",pid=(\d+)', line)
        pid = int(user[2]) if user else None
        if pid is not None and not paths.get(pid, "/"):
            continue
        found.append(
            {
                "port": int(port),
                "proto": fields[0],
                "address": address.strip("[]").partition("%")[0],
                "owner": user[1] if user else "",
                "pid": pid,
                "unit": unit_of(paths.get(pid, "")) if pid is not None else "",
            }
        )
    return found


def unit_of(cgroup: str) -> str:
    """The unit that a cgroup path names; empty for none."""
    parts = [part for part in cgroup.split("/") if part.endswith((".service", ".scope", ".socket"))]
    if parts:
        return parts[-1]
    return "kubepods" if "kubepods" in cgroup else ""


def parse_proc_net(lines: list[str]) -> list[dict[str, Any]]:
    """Lines of /proc/net/{tcp,tcp6,udp,udp6}, each with the file's name before it; owners are not known."""
    found: list[dict[str, Any]] = []
    for line in lines:
        fields = line.split()
        if len(fields) < 5 or ":" not in fields[2]:
            continue
        proto, (address, port), state = fields[0].removesuffix("6"), fields[2].split(":"), fields[4]
        if state != {"tcp": "0A", "udp": "07"}[proto]:
            continue
        one = {"port": int(port, 16), "proto": proto, "address": _address(address), "owner": "", "pid": None}
        found.append({**one, "unit": ""})
    return found


def _address(text: str) -> str:
    """The kernel's hex form, 32 bit words in host order, as usual text."""
    data = b"".join(bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8))
    return str(ipaddress.ip_address(data))
