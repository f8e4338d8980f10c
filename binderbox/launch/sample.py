"""The sample repository as texts, and the sh that serves it from the node. Pure; the agent travels with it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from binderbox import layout

NAMES = ("Dockerfile", "probe.py", "index.ipynb")
SERVED_AT_MOST_S = 3600  # systemd ends what a killed client left behind
REF = "main"

# One daemon serves all samples there are, so that two launches do not fight for its port.
# What a probe scans leads to an interface behind which nothing is.
# $1 directory, $2 unit, $3 address, $4 port, $5 seconds, $6 interface, $7 network
SERVE = """
set -e
cd "$1"
ip link add "$6" type bridge 2>/dev/null || true
ip link set "$6" arp off up && ip route replace "$7" dev "$6"
git init -q -b main .
git add -A
git -c user.name=binderbox -c user.email=binderbox@localhost commit -q -m 'A sample repository'
systemctl is-active -q "$2" || systemd-run -q --collect --unit="$2" -p RuntimeMaxSec="$5" -p ProtectSystem=strict \
    -p User=nobody -p Group=nogroup -p Environment=GIT_CONFIG_COUNT=1 \
    -p Environment=GIT_CONFIG_KEY_0=safe.directory -p Environment=GIT_CONFIG_VALUE_0='*' \
    git daemon --export-all --reuseaddr --listen="$3" --port="$4" --base-path="$(dirname "$1")" || systemctl is-active -q "$2"
for _ in 1 2 3 4 5 6 7 8 9 10; do
    git ls-remote -q "git://$3:$4/$(basename "$1")" >/dev/null 2>&1 && exit 0
    sleep 0.2
done
journalctl -u "$2" -n 5 -o cat --no-pager >&2 || true
exit 1
"""
# $1 directory, $2 unit, $3 interface
STOP = 'rm -rf "$1"; rmdir "$(dirname "$1")" 2>/dev/null || exit 0; ip link delete "$3"; systemctl stop "$2"'


def sample_texts(
    read: Mapping[str, str], base_image: str, targets: Mapping[str, str], mark: str
) -> dict[str, str]:
    """The repository's files; `read` are those of binderbox/sample by name, `mark` makes it one never built before."""
    texts = {name: read[name] for name in NAMES}
    texts["Dockerfile"] = texts["Dockerfile"].replace("ARG BASE\n", f"ARG BASE={base_image}\n")
    texts["targets.json"] = json.dumps(targets, indent=1)
    texts["never-built-before"] = mark
    return texts


def serve_words(directory: str, gateway: str) -> list[str]:
    """The command that makes the directory a repository and serves it."""
    place = (
        gateway,
        str(layout.SAMPLE_PORT),
        str(SERVED_AT_MOST_S),
        layout.CANARY_INTERFACE,
        layout.CANARY_NETWORK,
    )
    return ["sh", "-c", SERVE, "sh", directory, layout.SAMPLE_UNIT, *place]


def stop_words(directory: str) -> list[str]:
    """The command that takes it away again."""
    return ["sh", "-c", STOP, "sh", directory, layout.SAMPLE_UNIT, layout.CANARY_INTERFACE]


def sample_url(directory: str, gateway: str) -> str:
    return f"git://{gateway}/{directory.rpartition('/')[2]}"
