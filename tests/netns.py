"""Network namespaces with real listeners, for tests of what can reach what. Traffic never leaves what is made here.

`World` makes namespaces, veth pairs and processes under a random prefix and removes them all at the end. A listener
answers every TCP connection and every UDP datagram with one byte; `reach` tries many targets at once and says which
answered; a target is ("tcp" or "udp", address, port), ("icmp", address, 0), or "dhcp": UDP sent from port 67. Needs root and `ip`; `missing()` says why it cannot work here.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from types import TracebackType

LISTEN = """
import json, selectors, socket, sys
select = selectors.DefaultSelector()
for proto, family, port, address in json.loads(sys.argv[1]):
    sock = socket.socket(getattr(socket, family), socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == "AF_INET6":
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((address, port))
    if proto == "tcp":
        sock.listen(64)
    select.register(sock, selectors.EVENT_READ, proto)
print("ready", flush=True)
while True:
    for key, _ in select.select():
        if key.data == "tcp":
            peer, _ = key.fileobj.accept()
            peer.send(b"1")
            peer.close()
        else:
            _, sender = key.fileobj.recvfrom(64)
            key.fileobj.sendto(b"1", sender)
"""

REACH = """
import concurrent.futures, json, random, socket, struct, sys
def ping(address):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        sock.settimeout(float(sys.argv[2]))
        sock.connect((address, 0))
        name = random.randrange(0xF000)
        try:
            sock.send(struct.pack("!BBHHH", 8, 0, 0xF7FE - name, name, 1))
            return any(sock.recv(99)[20] == 0 for _ in range(3))  # type 0: the answer
        except OSError:
            return False
def one(target):
    proto, address, port = target
    if proto == "icmp":
        return ping(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM) as sock:
        sock.settimeout(float(sys.argv[2]))
        try:
            if proto == "dhcp":
                sock.bind(("0.0.0.0", 67))
            sock.connect((address, port))
            if proto != "tcp":
                sock.send(b"?")
            return sock.recv(1) == b"1"
        except OSError:
            return False
targets = json.loads(sys.argv[1])
with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps(list(pool.map(one, targets))))
"""

Target = tuple[str, str, int]
Socket = tuple[str, int] | tuple[str, int, str]


def missing(*programs: str) -> str:
    """Say why namespaces cannot be had here; empty when they can."""
    if os.geteuid() != 0:
        return "needs root"
    for program in ("ip", *programs):
        if shutil.which(program) is None:
            return f"needs {program}"
    probe = f"bbx{secrets.token_hex(3)}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "delete", probe], capture_output=True, check=False)
    return made.stderr.strip() if made.returncode else ""


class World:
    """A set of namespaces; use as a context manager."""

    def __init__(self) -> None:
        self.prefix = f"bbx{secrets.token_hex(3)}"
        self.names: list[str] = []
        self.listeners: list[subprocess.Popen[str]] = []

    def __enter__(self) -> World:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.listeners:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", self.full(name)], check=False)

    def full(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def add(self, name: str) -> None:
        subprocess.run(["ip", "netns", "add", self.full(name)], check=True)
        self.names.append(name)
        # An address that is still being checked for duplicates sends nothing for a second.
        self.sysctl(name, net__ipv6__conf__default__accept_dad=0)
        self.ip(name, "link set lo up")

    def run(self, name: str, *argv: str, text: str | None = None) -> str:
        done = subprocess.run(
            ["ip", "netns", "exec", self.full(name), *argv],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{name}: {' '.join(argv)}: {done.stderr}"
        return done.stdout

    def ip(self, name: str, words: str) -> str:
        return self.run(name, "ip", *words.split())

    def sysctl(self, name: str, **values: object) -> None:
        for key, value in values.items():
            self.run(name, "sysctl", "-qw", f"{key.replace('__', '/')}={value}")

    def link(self, left: str, left_name: str, right: str, right_name: str) -> None:
        """Join two namespaces by a veth pair, both ends up."""
        self.ip(left, f"link add {left_name} type veth peer name {right_name} netns {self.full(right)}")
        self.ip(left, f"link set {left_name} up")
        self.ip(right, f"link set {right_name} up")

    def listen(self, name: str, *sockets: Socket) -> None:
        """Start listeners; each is protocol, port and, where an answer must come from one address, that address."""
        wanted = []
        for proto, port, *address in sockets:
            at = str(address[0]) if address else "::"
            wanted.append((proto, "AF_INET6" if ":" in at else "AF_INET", port, at))
            if not address:
                wanted.append((proto, "AF_INET", port, "0.0.0.0"))
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.full(name), sys.executable, "-c", LISTEN, json.dumps(wanted)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.listeners.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", f"the listener in {name} did not start"

    def reach(self, name: str, targets: list[Target], timeout_s: float) -> dict[Target, bool]:
        out = self.run(name, sys.executable, "-c", REACH, json.dumps(targets), str(timeout_s))
        return dict(zip(targets, json.loads(out), strict=True))
