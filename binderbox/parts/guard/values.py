"""cryptnono's release: the detectors that end miners and scanners, from its own chart, unmodified.

Sources: mybinder.org-deploy mybinder/values.yaml (threshold 24, what is logged), and cryptnono's daemonset.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from binderbox import layout
from binderbox.artifacts.resolve import Artifact
from binderbox.parts.guard.bans import CANARY
from binderbox.parts.helm.inputs import PRIORITY_CLASS, ChartInputs

CHART, IMAGES = "cryptnono-chart", "cryptnono-images"
RELEASE = "cryptnono"
# 15 is upstream's, and most of what it kills are installers and browsers: mybinder.org-deploy db487f03 #3810.
THRESHOLD = 24
LOGGED = ("BINDER_CLIENT_IP", "BINDER_REF_URL")
WATCHES_NOTHING = "watches-nothing"  # a feature, of a site's own build: see versions.toml
METRICS = {"execwhacker": 12121, "flowkiller": 12122}
# Its tracepoint is x86's: cryptnono scripts/monero.py
MONERO_ARCH = "x86_64"


def watches(artifacts: Mapping[str, Artifact], container: str) -> bool:
    """Whether it is to run on this host: in a container it would see, and kill by their numbers there, processes of the
    machine around it.

    + container: what systemd says of it, "none" or "" for a machine
    """
    return container in ("", "none") or not attaches(artifacts)


def detectors(arch: str) -> tuple[str, ...]:
    """The containers of its pod, by the machine as uname names it."""
    return ("execwhacker", "flowkiller", *(("monero",) if arch == MONERO_ARCH else ()))


def attaches(artifacts: Mapping[str, Artifact]) -> bool:
    """Whether this build attaches to a kernel at all, and so needs its headers and kills: the real one does."""
    return WATCHES_NOTHING not in artifacts[CHART].features


def make_inputs(artifacts: Mapping[str, Artifact], arch: str, bundle: Path | None = None) -> ChartInputs:
    """All detectors; without docker's socket, which k3s does not have. Bans are in a file of the node's: bans.py."""
    sockets = {"containerdHostPath": layout.CONTAINERD_SOCKET, "dockerHostPath": ""}
    values: dict[str, Any] = {
        "priorityClassName": PRIORITY_CLASS,
        "fetchKernelHeaders": {"resources": _resources("64Mi", "64Mi")},
        "metrics": {"enabled": True, "collector": {"enabled": False}},
        "detectors": {
            "execwhacker": {
                **sockets,
                "enabled": True,
                "configs": {"canary": {"bannedCommandStrings": [CANARY]}},
                "metrics": {"port": METRICS["execwhacker"]},
                "resources": _resources("150M", "1Gi"),
            },
            "tcpflowkiller": {
                **sockets,
                "enabled": True,
                "config": {
                    "FlowKiller": {
                        "unique_destinations_threshold": THRESHOLD,
                        "log_container_envs": list(LOGGED),
                    }
                },
                "metrics": {"port": METRICS["flowkiller"]},
                "resources": _resources("167M", "1Gi"),
            },
            # what it takes nobody has measured; without a request it would ask for its limit
            "monero": {"enabled": arch == MONERO_ARCH, "resources": _resources("0", "1Gi")},
        },
    }
    return ChartInputs(
        release=RELEASE,
        namespace=layout.NAMESPACE,
        chart=RELEASE,
        values=values,
        values_files=(layout.BANS_VALUES,),
        images=tuple(one for one in artifacts.values() if one.of == CHART or one.name == IMAGES),
        artifact=artifacts[CHART],
        bundle=bundle,
    )


def _resources(memory: str, memory_limit: str) -> dict[str, dict[str, str]]:
    """The compiler that each detector starts with takes the most; after that it waits."""
    return {"requests": {"cpu": "10m", "memory": memory}, "limits": {"memory": memory_limit}}
