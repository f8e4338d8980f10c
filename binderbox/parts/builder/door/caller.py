"""Who is at the other end of a unix socket: the kernel's word, not the caller's."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from pathlib import Path

from .cgroup import PodProcess, parse_cgroup
from .refusal import Refused

SO_PEERPIDFD = 77  # Linux 6.5; Python has no name for it yet


def identify(sock: socket.socket, started_before: float) -> tuple[int, PodProcess]:
    """Return (pid, pod) of the process that connected, or raise Refused.

    + started_before: seconds since boot when the connection was accepted

    A pid can be reused between the connection and the look into /proc. A pidfd names the process
    itself: as long as it is alive *after* the look, the look was at that process. Kernels before 6.5
    cannot give one for the peer, so there a process younger than the connection is refused as well.
    """
    pid, _, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if pid <= 0:
        raise Refused("no-pid", "the caller's process is not visible from here")
    pidfd, exact = _pidfd(sock, pid)
    try:
        try:
            text = Path(f"/proc/{pid}/cgroup").read_text()
            apart = has_own_processes(Path(f"/proc/{pid}/status").read_text())
            young = not exact and _started_at(pid) > started_before
        except (OSError, ValueError):
            raise Refused("caller-gone", f"process {pid} ended before it could be identified") from None
        if young or select.select([pidfd], [], [], 0)[0]:  # a pidfd is readable once its process has ended
            raise Refused("caller-gone", f"process {pid} ended before it could be identified")
    finally:
        os.close(pidfd)
    pod = parse_cgroup(text)
    if pod is None:
        raise Refused("not-a-pod", f"process {pid} belongs to no pod; only build pods may use the build door")
    if not apart:
        raise Refused("not-a-pod", f"process {pid} is in a pod's cgroup, but a process of the host")
    return pid, pod


def has_own_processes(status: str) -> bool:
    """Whether a process, by its /proc/PID/status, lives in a PID namespace below the door's, as containers do.

    A cgroup is where somebody put a process; the namespace is where it was born. Read from `NSpid`, because the
    namespaces themselves are shown to those alone who might trace the process.
    """
    line = next((line for line in status.splitlines() if line.startswith("NSpid:")), "")
    return len(line.split()) > 2


def _pidfd(sock: socket.socket, pid: int) -> tuple[int, bool]:
    try:
        return sock.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD), True
    except OSError as error:
        # any other error is of a kernel that knows it: the process is gone, or no descriptor may be opened
        if error.errno != errno.ENOPROTOOPT:
            raise Refused("caller-gone", f"process {pid} could not be identified: {error.strerror}") from None
    try:
        return os.pidfd_open(pid), False
    except OSError:
        raise Refused("caller-gone", f"process {pid} ended before it could be identified") from None


def _started_at(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text()
    ticks = int(stat.rpartition(")")[2].split()[19])  # field 22; the name before it may hold anything
    return ticks / os.sysconf("SC_CLK_TCK")
