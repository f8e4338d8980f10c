"""Objects that were fetched at once answer as kubectl would, and only what they can know."""

from __future__ import annotations

import json
from typing import Any

import pytest

from binderbox.errors import StepFailed
from binderbox.world.objects import KINDS, Objects, fetch
from binderbox.world.ssh.shell import Output


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


class Answering:
    """A host whose command ends so."""

    name = "n"

    def __init__(self, stdout: str, code: int = 0, stderr: str = "") -> None:
        self.output = Output(code, stdout.encode(), stderr.encode())

    def run(self, argv: list[str], **options: object) -> Output:
        self.asked = argv
        return self.output


def test_each_list_of_the_api_server_gives_its_kind_to_its_items() -> None:
    lists = (
        {"kind": f"{kind}List", "items": [{"metadata": {"name": kind.lower()}}]} for kind in ("Node", "Pod")
    )
    found = fetch(Answering("\n".join(map(json.dumps, lists))))  # type: ignore[arg-type]
    assert [(item["kind"], item["metadata"]["name"]) for item in found.items] == [
        ("Node", "node"),
        ("Pod", "pod"),
    ]


def test_every_kind_that_is_known_is_asked_for_once() -> None:
    host = Answering("")
    assert not fetch(host).items  # type: ignore[arg-type]
    paths = [word.rpartition("/")[2] for word in host.asked if word.startswith("https://")]
    assert sorted(paths) == sorted(set(KINDS) - {"service"})


@pytest.mark.parametrize(("stdout", "code"), [("", 22), ('{"kind": "PodList"', 0), ("<html>", 0)])
def test_an_api_server_that_does_not_answer_is_said(stdout: str, code: int) -> None:
    with pytest.raises(StepFailed, match="n: the API server did not answer"):
        fetch(Answering(stdout, code, "curl: (22) 403"))  # type: ignore[arg-type]
