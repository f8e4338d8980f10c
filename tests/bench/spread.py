"""What the limits on new addresses cost a pod: connections made and bytes received, with them and without, by turns.

Between namespaces of this machine, whose links cost next to nothing, so the rules are as large a part as they ever are.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from binderbox.parts.firewall.rules import render_ruleset
from tests.bench.measure import CouldNotMeasure, Measure, median, median_ratio, take_pairs
from tests.netns import World, missing
from tests.parts.firewall.test_rules import INPUTS
from tests.parts.firewall.test_spread import make_world

GOAL = 1.02
PAIRS = 9
CONNECTIONS = 6000
BYTES_MB = 6000
AT = "45.64.0.1"
SERVE = """
import socket, threading
block = b"x" * (1 << 20)
def serve(port, work):
    with socket.create_server(("0.0.0.0", port), backlog=512) as server:
        while True:
            peer, _ = server.accept()
            work(peer)
            peer.close()
def pour(peer):
    left = int(peer.recv(64))
    while left > 0:
        peer.sendall(block)
        left -= len(block)
threading.Thread(target=serve, args=(80, lambda peer: None), daemon=True).start()
print("ready", flush=True)
serve(9418, pour)
"""
CONNECT = """
import socket, sys, time
began = time.perf_counter()
for _ in range(int(sys.argv[2])):
    with socket.create_connection((sys.argv[1], 80)) as sock:
        sock.recv(1)
print(time.perf_counter() - began)
"""
RECEIVE = """
import socket, sys, time
buffer = bytearray(1 << 20)
with socket.create_connection((sys.argv[1], 9418)) as sock:
    began = time.perf_counter()
    sock.sendall(str(int(sys.argv[2]) * 10**6).encode())
    while sock.recv_into(buffer):
        pass
    print(time.perf_counter() - began)
"""


def without(text: str) -> str:
    """The same rules with no word of new addresses, answers or questions."""
    dropped = ("jump answers", "@questions", "@step_sources")
    kept = [line for line in text.splitlines() if not any(word in line for word in dropped)]
    plain = "\n".join(kept).replace("goto public\n", "accept\n")
    if plain.count("\n") > text.count("\n") - 3 or "dport { 80, 443, 9418 } goto public" in plain:
        raise CouldNotMeasure("the rules are written in another way than this measure knows")
    return plain


def measure() -> Measure:
    """No host is needed, but root, nft and network namespaces."""
    if reason := missing("nft", "sysctl", "bridge"):
        raise CouldNotMeasure(reason)
    limited = render_ruleset(INPUTS)
    with World() as world, tempfile.TemporaryDirectory() as directory:
        make_world(world)
        files = {"with": Path(directory, "with"), "without": Path(directory, "without")}
        files["with"].write_text(limited)
        files["without"].write_text(without(limited))
        server = subprocess.Popen(
            ["ip", "netns", "exec", world.full("world"), sys.executable, "-c", SERVE],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        world.listeners.append(server)
        if server.stdout is None or server.stdout.readline() != "ready\n":
            raise CouldNotMeasure("the server did not start")

        def seconds(how: str, program: str, count: int) -> float:
            world.run("node", "nft", "-f", str(files[how]))
            if how == "with":
                world.run("node", "nft", "add element inet binderbox groups { 10.42.0.30 : 77 }")
            return float(json.loads(world.run("user0", sys.executable, "-c", program, AT, str(count))))

        pairs = {
            name: take_pairs(
                lambda program=program, count=count: seconds("with", program, count),  # type: ignore[misc]
                lambda program=program, count=count: seconds("without", program, count),  # type: ignore[misc]
                PAIRS,
            )
            for name, program, count in (
                ("connections", CONNECT, CONNECTIONS),
                ("bytes", RECEIVE, BYTES_MB),
            )
        }
    ratios = {name: round(median_ratio(taken), 4) for name, taken in pairs.items()}
    return Measure(
        "spread",
        "a pod with limits on new addresses / without, the worse of connections and bytes",
        max(ratios.values()),
        GOAL,
        {
            **ratios,
            "connections_a_second": round(CONNECTIONS / median([one.ours_s for one in pairs["connections"]])),
            "gigabytes_a_second": round(BYTES_MB / 1000 / median([one.ours_s for one in pairs["bytes"]]), 2),
            "pairs": PAIRS,
        },
    )
