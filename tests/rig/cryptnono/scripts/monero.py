"""The double of the detector of miners: bpftrace's one line, and no kernel."""

from __future__ import annotations

import threading

from common import compiled

print("Running /scripts/monero-v2.bt", flush=True)
compiled()
print("Attaching 1 probe...", flush=True)
threading.Event().wait()
