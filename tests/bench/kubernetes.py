"""How long Kubernetes alone takes on a fresh host: the unit in which an install is measured."""

from __future__ import annotations

import json
from pathlib import Path

from binderbox import layout
from tests.rig.bundle import bundle
from tests.rig.host import RigHost

ARTIFACTS = {"k3s": layout.K3S, "k3s-images": f"{layout.K3S_IMAGES}/{{file}}"}
READY_WITHIN_S = 300
UNIT = f"""\
[Service]
Type=notify
ExecStart={layout.K3S} server
KillMode=process
Delegate=yes
TimeoutStartSec={READY_WITHIN_S}
"""
# `systemctl start` returns when the API server answers; the node and CoreDNS follow. Prints seconds.
START = f"""
started=$(date +%s.%N)
systemctl start k3s
end=$(($(date +%s) + {READY_WITHIN_S}))
until k3s kubectl wait --for=condition=Ready node --all --timeout=5s >/dev/null 2>&1 &&
    k3s kubectl -n kube-system wait --for=condition=Available deployment/coredns --timeout=5s >/dev/null 2>&1
do
    [ "$(date +%s)" -lt "$end" ] || {{ k3s kubectl get nodes,pods -A >&2; exit 1; }}
    sleep 0.2
done
echo "$(date +%s.%N) $started" | awk '{{print $1 - $2}}'
"""


def seconds_alone(name: str) -> float:
    """From `systemctl start` to a Ready node with CoreDNS, on a host of its own that is gone afterwards.

    The program, its images and a unit lie there before; its settings are its own defaults.
    """
    host = RigHost.start(name)
    try:
        for source, destination in _files().items():
            host.exec(["mkdir", "-p", str(Path(destination).parent)])
            host.engine.run("cp", str(source), f"{host.name}:{destination}", timeout_s=300)
        host.exec(["chmod", "0755", layout.K3S])
        host.exec(["sh", "-c", f"cat >{layout.SYSTEMD}/k3s.service"], stdin=UNIT.encode())
        host.exec(["systemctl", "daemon-reload"])
        host.exec(["sync"])
        return float(host.exec(["sh", "-ec", START], timeout_s=READY_WITHIN_S + 60))
    finally:
        host.stop()


def _files() -> dict[Path, str]:
    """File of the bundle to path on the host."""
    path = bundle().path
    listed = json.loads((path / "bundle.lock.json").read_text())["artifacts"]
    return {
        path / entry["file"]: ARTIFACTS[entry["name"]].format(file=entry["file"])
        for entry in listed
        if entry["name"] in ARTIFACTS
    }
