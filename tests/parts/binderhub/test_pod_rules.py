"""What a real API server takes of pods that run strangers' code, and what it refuses, whoever asks."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from binderbox import layout
from tests.parts.builder.test_on_host import Node, node

__all__ = ["node"]  # the fixture
pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]
HUB = f"system:serviceaccount:{layout.HUB_NAMESPACE}:hub"
Spec = dict[str, Any]


def server() -> dict[str, Any]:
    """A user's server as KubeSpawner makes it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "jupyter-tried",
            "namespace": layout.HUB_NAMESPACE,
            "labels": {"component": "singleuser-server", "app": "jupyterhub"},
        },
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": {"fsGroup": 100},
            "containers": [
                {
                    "name": "notebook",
                    "image": "rig.binderbox.test/sample-base:1",
                    "securityContext": {"runAsUser": 1000, "allowPrivilegeEscalation": False},
                }
            ],
        },
    }


def build() -> dict[str, Any]:
    """A build pod as BinderHub makes it; what the mutating policy sets is not in it."""
    pod = server()
    pod["metadata"] |= {"name": "build-tried", "labels": {"component": "binderhub-build"}}
    pod["spec"]["containers"][0].pop("securityContext")
    pod["spec"].pop("automountServiceAccountToken")
    pod["spec"]["volumes"] = [{"name": "door", "hostPath": {"path": layout.DOOR_RUN}}]
    return pod


def refused(node: Node, pod: dict[str, Any], who: str = "") -> str:
    """The API server's words, or nothing where it takes the pod."""
    words = ["create", "--dry-run=server", "-f", "-", *([f"--as={who}"] if who else [])]
    command = f"{layout.K3S} kubectl {' '.join(words)} 2>&1 >/dev/null || true"
    return node.exec(command, json.dumps(pod).encode()).strip()


def container(**more: Any) -> Callable[[Spec], object]:
    return lambda spec: spec["containers"][0].update(more)


def security(**more: Any) -> Callable[[Spec], object]:
    return lambda spec: spec["containers"][0].setdefault("securityContext", {}).update(more)


def volume(**source: Any) -> Callable[[Spec], object]:
    return lambda spec: spec.setdefault("volumes", []).append({"name": "more", **source})


INIT = {"name": "first", "image": "rig.binderbox.test/sample-base:1", "securityContext": {"privileged": True}}
TOKEN = {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
OF_BOTH: dict[str, Callable[[Spec], object]] = {
    "the node's network": lambda spec: spec.update(hostNetwork=True),
    "the node's processes": lambda spec: spec.update(hostPID=True),
    "the node's memory": lambda spec: spec.update(hostIPC=True),
    "a token": lambda spec: spec.update(automountServiceAccountToken=True),
    "another account": lambda spec: spec.update(serviceAccountName="hub"),
    "a token by a volume": volume(**TOKEN),
    "no seccomp in the whole pod": lambda spec: spec["securityContext"].update(
        seccompProfile={"type": "Unconfined"}
    ),
    "a port of the node": container(ports=[{"containerPort": 8888, "hostPort": 8888}]),
    "the node's root": volume(hostPath={"path": "/"}),
    "a privileged container before": lambda spec: spec.update(initContainers=[INIT]),
}
OF_SERVERS = {  # of a build, the mutating policy has put its own security context in place of any
    "more capabilities": security(capabilities={"add": ["NET_ADMIN"], "drop": ["NET_RAW"]}),
    "no seccomp": security(seccompProfile={"type": "Unconfined"}),
    "a server as root": security(runAsUser=0),
    "a server as whoever its image says": lambda spec: spec["containers"][0]["securityContext"].pop("runAsUser"),
    "a privileged one": security(privileged=True, allowPrivilegeEscalation=True),
    "one that may gain privileges": security(allowPrivilegeEscalation=True),
    "one that sees the door": volume(hostPath={"path": layout.DOOR_RUN}),
}  # fmt: skip


@pytest.mark.parametrize("who", ["", HUB])
def test_servers_and_builds_as_they_are_made_pass(node: Node, who: str) -> None:
    assert refused(node, server()) == ""
    assert refused(node, build()) == ""


def test_what_would_hurt_is_refused_by_name(node: Node) -> None:
    """One test: each question is a program of its own on the node."""
    tried = [(f"server: {name}", server(), change) for name, change in {**OF_BOTH, **OF_SERVERS}.items()]
    tried += [(f"build: {name}", build(), change) for name, change in OF_BOTH.items()]
    taken = []
    for name, pod, change in tried:
        changed = copy.deepcopy(pod)
        change(changed["spec"])
        said = refused(node, changed)
        if "binderbox-strangers" not in said or "a pod of strangers' code" not in said:
            taken.append((name, said))
    assert taken == []


def test_what_the_hubs_account_makes_is_held_to_it_without_any_label(node: Node) -> None:
    pod = server()
    pod["metadata"]["labels"] = {}
    pod["spec"]["hostNetwork"] = True
    assert "binderbox-strangers" in refused(node, pod, HUB)
    assert refused(node, pod) == "", "an administrator's own pod is none of strangers' code"


def test_a_pod_that_names_no_profile_has_seccomps_default(node: Node) -> None:
    node.start("confined", "grep", "Seccomp:", "/proc/self/status")
    assert node.wait("confined").log.split() == ["Seccomp:", "2"]
