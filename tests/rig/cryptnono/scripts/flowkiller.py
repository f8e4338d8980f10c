"""The double of flowkiller: its arguments, its config and lists of addresses, its log, and no kernel."""

from __future__ import annotations

import argparse
import json
from glob import glob
from pathlib import Path

from common import compiled, say, serve, watch

KNOWN = {
    "banned_ipv4_file_globs", "log_connects", "log_container_info", "log_container_envs", "lookback_duration_seconds",
    "metrics_port", "unique_destinations_threshold",
}  # fmt: skip

parser = argparse.ArgumentParser()
parser.add_argument("--config", required=True)
parser.add_argument("--FlowKiller.metrics_port", dest="metrics_port", type=int, default=0)
args = parser.parse_args()
with open(args.config) as file:
    config = json.load(file)["FlowKiller"]
if unknown := set(config) - KNOWN:
    raise SystemExit(f"FlowKiller has no {', '.join(sorted(unknown))}")
paths = [Path(path) for pattern in config["banned_ipv4_file_globs"] for path in glob(pattern)]
lines = [line.strip() for path in paths for line in path.read_text().splitlines()]
addresses = {line for line in lines if line and not line.startswith("#")}
say(f"Banning {len(addresses)} IPv4 addresses")
compiled()
if args.metrics_port:
    serve(args.metrics_port, "cryptnono_flowkiller_connects_checked_total 1.0\n")
watch()
