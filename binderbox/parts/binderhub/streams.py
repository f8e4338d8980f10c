"""How long a pod of BinderHub that is replaced stays: until its streams of builds have ended.

A browser does not take up a build's stream again once it is cut (binderhub b9fad995 js/packages/binderhub-client
lib/client.js), and BinderHub ends at once when told to. Kubernetes sends it no new ones meanwhile.
"""

from __future__ import annotations

from binderbox.layout import BINDER_PORT

STREAMS_END_S = 3600  # no longer than the longest build
UNROUTED_S = 3  # for the endpoints to be taken out everywhere


def drain_streams() -> str:
    """Python for BinderHub's pod: wait until nobody is connected to its port any more.

    Established connections are state 01 in /proc/net/tcp, addresses and ports in hex.
    """
    return f"""\
import time
end = time.monotonic() + {STREAMS_END_S}
def busy():
    rows = [line.split() for name in ("tcp", "tcp6") for line in open("/proc/net/" + name)]
    return any(row[1].endswith(":{BINDER_PORT:04X}") and row[3] == "01" for row in rows)
time.sleep({UNROUTED_S})
while busy() and time.monotonic() < end:
    time.sleep(0.5)
"""
