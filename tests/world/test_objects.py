"""Objects that were fetched at once answer as kubectl would, and only what they can know."""

from __future__ import annotations

from typing import Any

import pytest

from binderbox.world.objects import Objects


def one(kind: str, name: str, namespace: str = "", **labels: str) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace, "labels": labels}}


KNOWN = Objects(
    [
        one("Node", "n"),
        one("Deployment", "hub", "binderhub", component="hub"),
        one("Deployment", "registry", "binderbox"),
        one("Service", "registry", "binderbox"),
        one("Pod", "hub-1", "binderhub", component="hub", app="jupyterhub"),
        one("Pod", "build-1", "binderhub", component="binderhub-build"),
        one("DaemonSet", "guard", "kube-system"),
    ]
)


@pytest.mark.parametrize(
    ("args", "names"),
    [
        (["get", "nodes"], ["n"]),
        (["get", "deployments", "-n", "binderbox"], ["registry"]),
        (["get", "deployments,daemonsets", "-n", "kube-system"], ["guard"]),
        (["get", "pods", "-n", "binderhub"], ["hub-1", "build-1"]),
        (["get", "pods", "-n", "binderhub", "-l", "component=binderhub-build"], ["build-1"]),
        (["get", "pods", "-n", "binderhub", "-l", "component=hub,app=other"], []),
    ],
)
def test_lists(args: list[str], names: list[str]) -> None:
    assert [item["metadata"]["name"] for item in KNOWN.answer(args)["items"]] == names


def test_a_named_object_is_itself_and_one_that_is_not_there_is_asked_for() -> None:
    assert KNOWN.answer(["get", "service", "registry", "-n", "binderbox"])["kind"] == "Service"
    assert KNOWN.answer(["get", "service", "objectstore", "-n", "binderbox"]) is None


@pytest.mark.parametrize(
    "args",
    [
        ["get", "--raw", "/api/v1/nodes/n/proxy/configz"],
        ["get", "secrets", "-n", "binderhub"],
        ["get", "pods", "-A"],
        ["logs", "pods"],
        ["get", "pods", "-n"],
    ],
)
def test_other_questions_are_for_kubectl(args: list[str]) -> None:
    found = KNOWN.answer(args)
    assert found is None or args == ["get", "pods", "-n"]
