"""Images that would go with the kubelet's image GC are named, and artifacts that are stated otherwise than recorded."""

from __future__ import annotations

from typing import Any

import pytest

from binderbox.artifacts.resolve import Artifact
from binderbox.checks.core import run_check
from binderbox.output.results import CheckResult
from binderbox.parts.fetch.checks import CHECKS
from tests.checks.fakes import FakeProbe

IMAGES, UPSTREAM = CHECKS
TRAEFIK = "docker.io/library/traefik@sha256:" + "c" * 64
HUB = "quay.io/jupyterhub/k8s-hub:1"


def pod(image: str, component: str = "hub") -> dict[str, Any]:
    return {"metadata": {"labels": {"component": component}}, "spec": {"containers": [{"image": image}]}}


def images(*pods: dict[str, Any], pinned: tuple[str, ...]) -> CheckResult:
    objects = {f"get pods -n {name}": {"items": []} for name in ("binderbox", "binderhub", "kube-system")}
    objects["get pods -n binderhub"] = {"items": list(pods)}
    artifacts = {
        "traefik": Artifact(
            "traefik", "image", "c" * 64, "docker.io/library/traefik:3", "3", images=(TRAEFIK,)
        )
    }
    return run_check(IMAGES, FakeProbe(objects=objects, artifacts=artifacts, pinned=pinned))


def test_every_image_of_ours_is_pinned() -> None:
    assert images(pod(HUB), pinned=(HUB, TRAEFIK)).verdict == "pass"
    loose = images(pod(HUB), pinned=(TRAEFIK,))
    assert (loose.verdict, loose.measured) == ("fail", f"not pinned: {HUB}")
    assert loose.fix
    assert images(pinned=()).measured == f"not pinned: {TRAEFIK}"  # no pod runs it now


@pytest.mark.parametrize("component", ["singleuser-server", "binderhub-build"])
def test_those_of_visitors_come_and_go(component: str) -> None:
    assert images(pod("registry.binderbox.svc:5000/i-x:1", component), pinned=(TRAEFIK,)).verdict == "pass"


def test_a_publisher_that_states_another_sum_is_named_with_both_ways_out() -> None:
    a, b = "a" * 64, "b" * 64
    assert run_check(UPSTREAM, FakeProbe()).verdict == "skip"
    assert run_check(UPSTREAM, FakeProbe(upstream={"helm": (a, a)})).verdict == "pass"
    moved = run_check(UPSTREAM, FakeProbe(upstream={"helm": (a, b), "k3s": (a, a)}))
    assert (moved.verdict, moved.measured) == ("fail", f"helm: recorded {a}, stated {b}")
    assert f"install host.example --accept helm={a}" in moved.fix
    assert f"--accept helm={b}" in moved.fix
