"""The double of execwhacker: its arguments, its configs, its log, and no kernel."""

from __future__ import annotations

import argparse
import json
import re

from common import compiled, say, serve, watch

parser = argparse.ArgumentParser()
parser.add_argument("--debug", action="store_true")
parser.add_argument("--config", action="append", default=[])
parser.add_argument("--serve-metrics-port", type=int, default=0)
parser.add_argument("--threadpool-size", type=int, default=10)
parser.add_argument("--lookup-container", action="store_true")
args = parser.parse_args()
banned: set[str] = set()
allowed: list[str] = []
for path in args.config:
    with open(path) as file:
        found = json.load(file)
    banned.update(found.get("bannedCommandStrings", []))
    allowed += found.get("allowedCommandPatterns", [])
for pattern in allowed:
    re.compile(pattern)
say(f"Found {len(banned)} substrings to check process cmdlines for")
say(f"Found {len(allowed)} patterns to explicitly allow")
compiled()
say("Took 0.00s to startup")
if args.serve_metrics_port:
    serve(
        args.serve_metrics_port,
        'cryptnono_execwhacker_processes_checked_total{source="execwhacker.bpf"} 1.0\n',
    )
watch()
