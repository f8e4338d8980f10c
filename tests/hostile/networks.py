"""Whom a step or a fetch of BuildKit's asks: everybody of the node, its neighbours, and servers that never end."""

from __future__ import annotations

from tests.hostile.repository import LEAVES, SHORT, Repository, run

SCAN = """\
import socket
from concurrent.futures import ThreadPoolExecutor
gateway = next(socket.inet_ntoa(bytes.fromhex(line.split()[2])[::-1]) for line in open("/proc/net/route") if line.split()[1] == "00000000")
mine = gateway.rsplit(".", 1)[0]
asked = [(gateway, port) for port in (22, 53, 80, 111, 443, 2379, 5000, 6443, 9000, 10248, 10250, 10256, 30901)]
asked += [(f"{mine}.{n}", port) for n in range(2, 40) for port in (22, 80, 8080, 8888)]
asked += [(f"10.42.0.{n}", port) for n in range(1, 40) for port in (80, 8000, 8081, 8888)]
asked += [("10.43.0.1", 443), ("10.43.0.10", 9153), ("10.43.0.50", 5000), ("169.254.169.254", 80), ("192.168.1.1", 80)]
def reached(where):
    with socket.socket() as one:
        one.settimeout(2)
        return where if one.connect_ex(where) == 0 else None
with ThreadPoolExecutor(60) as pool:
    print("REACHED", [one for one in pool.map(reached, asked) if one])
"""
RAW = """\
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(([n for _, n in socket.if_nameindex() if n != "lo"][0], 0))
s.settimeout(8)
print("listens")
mine = open(f"/sys/class/net/{s.getsockname()[0]}/address").read().strip().replace(":", "")
try:
    while True:
        frame = s.recv(9999)
        if frame[:6].hex() not in (mine, "f" * 12) and not frame[0] & 1 and frame[6:12].hex() != mine:
            print("OVERHEARD", frame[:14].hex())
except OSError:
    print("over")
"""
ARP = """\
import socket, struct, time
name = [n for _, n in socket.if_nameindex() if n != "lo"][0]
mine = bytes.fromhex(open(f"/sys/class/net/{name}/address").read().strip().replace(":", ""))
gateway = next(bytes.fromhex(line.split()[2])[::-1] for line in open("/proc/net/route") if line.split()[1] == "00000000")
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); s.bind((name, 0)); s.settimeout(0.01)
ends, got = time.time() + 10, 0
while time.time() < ends:
    for n in range(2, 60):
        other = gateway[:3] + bytes([n])
        for sender, target in ((gateway, other), (other, gateway)):
            s.send(b"\\xff" * 6 + mine + b"\\x08\\x06" + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + mine + sender + b"\\xff" * 6 + target)
    try:
        frame = s.recv(9999)
        got += frame[12:14] == b"\\x08\\x00" and frame[:6] == mine
    except OSError:
        pass
print("STOLEN", got)
"""

NETWORKS = (
    # the ingress, by which everybody may come, at the node's addresses on both bridges
    Repository("port-scan", run(SCAN), "Succeeded", "REACHED [('10.44.0.1', 80), ('10.44.0.1', 443), ('10.42.0.1', 80)]"),
    Repository("raw-sockets", run(RAW), "Succeeded", "listens", "OVERHEARD"),
    Repository("arp-games", run(ARP), "Succeeded", "STOLEN 0"),
    Repository("adds-without-end", "ADD {server}/endless /x", "Failed", SHORT, within_s=400),
    Repository("adds-what-has-no-length", "ADD {server}/lengthless /x", "Failed", SHORT, within_s=400),
    Repository("adds-slowly", "ADD {server}/slow /x", LEAVES),
    Repository("adds-the-metadata", "ADD http://169.254.169.254/latest/meta-data /x", "Failed"),
    Repository("adds-from-the-node", "ADD http://127.0.0.1:5000/v2/ /x", "Failed"),
    Repository("adds-by-a-redirect", "ADD {server}/to-the-metadata /x", "Failed"),
    Repository("adds-git", "ADD git://127.0.0.1/x.git /x", "Failed"),
)  # fmt: skip
