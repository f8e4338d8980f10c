"""The time, for virtual machines: an emulated clock drifts by a second in twenty minutes, and a provider's would not."""

from __future__ import annotations

import contextlib
import socketserver
import struct
import threading
import time
from functools import cache

ADDRESS = ("127.0.0.1", 123)  # 10.0.2.2 for a guest of QEMU's user network
SINCE_1900_S = 2_208_988_800
# RFC 5905, 7.3: a server (mode 4) of version 4 and stratum 2, with a second between questions and microseconds of precision.
HEAD = struct.pack(">BBbbII4s", 4 << 3 | 4, 2, 0, -20, 0, 0, b"\x7f\0\0\1")


def stamp(seconds: float) -> bytes:
    whole = int(seconds)
    return struct.pack(">II", whole + SINCE_1900_S, int((seconds - whole) * (1 << 32)))


class _Question(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, sock = self.request
        if len(data) >= 48:
            now = stamp(time.time())
            sock.sendto(HEAD + now + data[40:48] + now + stamp(time.time()), self.client_address)


@cache
def serve() -> None:
    """Answer for as long as this process lives, unless somebody on this machine does already."""
    with contextlib.suppress(OSError):
        server = socketserver.ThreadingUDPServer(ADDRESS, _Question)
        threading.Thread(target=server.serve_forever, daemon=True).start()
