"""The sample repository, served from the host itself for as long as a launch needs it.

`git daemon` listens on the node's address on the pod bridge, so pods and BinderHub reach it and nobody else does;
the firewall's rule for its port is always there, the listener only here.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.resources import files

from binderbox import layout
from binderbox.errors import ConnectionLost, StepFailed
from binderbox.world.hosts import Host

UNIT = "binderbox-sample.service"
NAMES = ("Dockerfile", "probe.py", "index.ipynb")
SERVED_AT_MOST_S = 3600  # systemd ends what a killed client left behind
REF = "main"

# One daemon serves all samples there are, so that two launches do not fight for its port.
# $1 directory, $2 unit, $3 address, $4 port, $5 seconds
SERVE = """
set -e
cd "$1"
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
# $1 directory, $2 unit
STOP = 'rm -rf "$1"; ! rmdir "$(dirname "$1")" 2>/dev/null || systemctl stop "$2"'


@contextmanager
def served(host: Host, base_image: str, targets: Mapping[str, str]) -> Iterator[str]:
    """The URL of a repository that was never built before: it holds a random file.

    Raises StepFailed when git on the host cannot serve it.
    """
    mark = secrets.token_hex(8)
    directory = f"{layout.RUN}/samples/{mark}"
    texts = {name: (files("binderbox") / "sample" / name).read_text() for name in NAMES}
    texts["Dockerfile"] = texts["Dockerfile"].replace("ARG BASE\n", f"ARG BASE={base_image}\n")
    texts["targets.json"] = json.dumps(targets, indent=1)
    texts["never-built-before"] = mark
    try:
        for name, text in texts.items():
            host.write(f"{directory}/{name}", text.encode(), 0o644)
        serve = [
            "sh",
            "-c",
            SERVE,
            "sh",
            directory,
            UNIT,
            layout.POD_GATEWAY,
            str(layout.SAMPLE_PORT),
            str(SERVED_AT_MOST_S),
        ]
        output = host.run(serve, timeout_s=60)
        if output.code:
            raise StepFailed(
                f"{host.name}: the sample repository could not be served",
                cause=output.stderr.decode(errors="replace").strip(),
                remedy=f"free port {layout.SAMPLE_PORT} on {layout.POD_GATEWAY}, or name a repository: binderbox launch {host.name} URL",
            )
        yield f"git://{layout.POD_GATEWAY}/{mark}"
    finally:
        with suppress(ConnectionLost):  # the unit ends by itself, and /run is emptied by the next boot
            host.run(["sh", "-c", STOP, "sh", directory, UNIT], timeout_s=30)
