"""Images on the node: pulled before they are needed, known by digest, and asked for the version that is in them."""

from __future__ import annotations

import hashlib
import json
import time

from binderbox import layout
from binderbox.parts.agent.jobs.running import CommandFailed, kubectl, run
from binderbox.parts.fetch.pulling import CTR, HOSTS, PINNED

PULL_S = 1800
ASK_S = 120
ASK = ["python3", "-c", "import binderhub; print(binderhub.__version__)"]


def digest_of(image: str) -> str:
    """`sha256:...` of an image that is here, or nothing."""
    for line in run([*CTR, "images", "list", f'name=="{image}"']).splitlines()[1:]:
        words = line.split()
        if words[0] == image:
            return next((word for word in words if word.startswith("sha256:")), "")
    return ""


def pull(image: str) -> str:
    """Have the image here, as containerd's registries say, and return its digest. One that is here is not replaced."""
    if not (found := digest_of(image)):
        run(
            [*CTR, "images", "pull", "--local", "--hosts-dir", HOSTS, "--label", PINNED, image],
            timeout_s=PULL_S,
        )
        found = digest_of(image)
    if not found:
        raise CommandFailed(f"{image} was pulled and is not there")
    return found


def version_in(image: str) -> str:
    """The version that BinderHub in this image says of itself: of the program, not of the chart.

    It runs as nobody in a pod without a token, which is gone when this returns.
    """
    name = f"binderbox-asks-{hashlib.sha256(image.encode()).hexdigest()[:8]}"
    place = ("--namespace", layout.NAMESPACE)
    _remove(name)
    kubectl("create", "-f", "-", stdin=json.dumps(_pod(name, image)))
    try:
        deadline = time.monotonic() + ASK_S
        while (phase := kubectl("get", "pod", name, *place, "-o", "jsonpath={.status.phase}")) not in (
            "Succeeded",
            "Failed",
        ):
            if time.monotonic() > deadline:
                raise CommandFailed(f"{image} did not say its version within {ASK_S} s")
            time.sleep(0.3)
        said = kubectl("logs", name, *place).strip()
        if phase == "Failed" or not said:
            raise CommandFailed(f"{image} does not say its version: {said[-200:]}")
        return said.splitlines()[-1]
    finally:
        _remove(name)


def _remove(name: str) -> None:
    kubectl(
        "delete", "pod", name, "--namespace", layout.NAMESPACE, "--ignore-not-found", "--now", timeout_s=120
    )


def _pod(name: str, image: str) -> dict[str, object]:
    container = {
        "name": "version",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ASK,
        "resources": {
            "limits": {"cpu": "1", "memory": "512Mi"},
            "requests": {"cpu": "10m", "memory": "64Mi"},
        },
        "securityContext": {
            "runAsUser": 65534,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec = {
        "containers": [container],
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "activeDeadlineSeconds": ASK_S,
    }
    metadata = {
        "name": name,
        "namespace": layout.NAMESPACE,
        "labels": {"app.kubernetes.io/name": "binderbox-asks"},
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
