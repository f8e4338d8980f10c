"""What proves each phase: every judge with what is right, and with each thing that can be wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from binderbox import layout
from binderbox.checks import workloads
from binderbox.checks.core import run_checks
from binderbox.checks.probe import Answer, Bucket, Certificate, FileInfo, UnitState
from binderbox.decide.drain import Drain
from binderbox.launch import checks as launch
from binderbox.member.model import Networks
from binderbox.output.results import LaunchResult, Word
from binderbox.parts.binderhub import checks as hub
from binderbox.parts.builder import checks as builder
from binderbox.parts.builder.build_class import PROOF
from binderbox.parts.checks import of
from binderbox.parts.firewall import checks as firewall
from binderbox.parts.host import checks as host
from binderbox.parts.ingress import checks as ingress
from binderbox.parts.k3s import checks as k3s
from binderbox.parts.objectstore import checks as objectstore
from binderbox.parts.registry import checks as registry
from binderbox.parts.secrets.kinds import MADE
from tests.checks.fakes import FakeProbe, artifact, facts

CONTAINERD = {f"{builder.LABEL}.executor": "containerd", f"{builder.LABEL}.containerd.namespace": "k8s.io"}
CERTIFICATE = Certificate(("b.example.org",), "binderbox", 80.0, True)
PINNED = "quay.io/jupyterhub/repo2docker:2026.4.0"


def node(ready: str = "True", pressure: str = "False", **spec: Any) -> dict[str, Any]:
    conditions = [
        {"type": "Ready", "status": ready, "message": "container runtime is down"},
        {"type": "DiskPressure", "status": pressure, "message": "little space"},
    ]
    return {"metadata": {"name": "n1"}, "spec": spec, "status": {"conditions": conditions}}


def health(*, ok: bool, status: int = 200) -> Answer:
    checks = [{"service": "Docker registry", "ok": ok}, {"service": "JupyterHub API", "ok": True}]
    return Answer("/health", status, body=json.dumps({"ok": ok, "checks": checks}))


def build_pod(**spec: Any) -> list[dict[str, Any]]:
    volumes = [
        {"name": "a", "hostPath": {"path": path}} for path in (layout.ENGINE, layout.DOOR_RUN, layout.NODE_CA)
    ]
    base = {
        "volumes": volumes,
        "containers": [{"name": "builder", "env": [{"name": "PYTHONPATH", "value": "/x"}]}],
    }
    return [{"metadata": {"name": "build-1"}, "spec": base | spec}]


def one_launch(**changes: Any) -> LaunchResult:
    values = {
        "host": "h",
        "repository": "r",
        "ref": "HEAD",
        "url": "u",
        "image": "i:1",
        "built": True,
        "pulled": False,
    }
    return LaunchResult(**(values | {"seconds": (("total", 9.0),)} | changes))  # type: ignore[arg-type]


ROWS: list[tuple[Any, Any, Word, str]] = [
    (workloads.judge_unit, UnitState("k3s.service", "loaded", "active", "running"), "pass", "running"),
    (workloads.judge_unit, UnitState("k3s.service", "not-found", "inactive"), "fail", "does not exist"),
    (
        workloads.judge_unit,
        UnitState("k3s.service", "loaded", "failed", "failed", "exit-code", log=("fatal: port 6443 in use",)),
        "fail",
        "failed (exit-code)\nfatal: port 6443 in use",
    ),
    (workloads.judge_private, {"/a": FileInfo("/a", "file", 0o600, "root")}, "pass", "root's alone"),
    (workloads.judge_private, {"/a": FileInfo("/a", "file", 0o640, "root")}, "fail", "mode 0640"),
    (workloads.judge_private, {"/a": FileInfo("/a", "file", 0o600, "me")}, "fail", "belongs to me"),
    (workloads.judge_private, {"/a": None}, "fail", "/a does not exist"),
    (workloads.judge_present, {"/a": None, "/b": FileInfo("/b", "file", 0o644, "root")}, "fail", "missing: /a"),
    (firewall.judge_tables, ("ip nat", "inet binderbox", "inet binderbox-backstop"), "pass", "inet binderbox"),
    (firewall.judge_tables, ("inet binderbox",), "fail", "systemctl restart binderbox-backstop.service"),
    (firewall.judge_tables, ("inet filter",), "fail", "nft -f /etc/binderbox/firewall.nft"),
    (host.judge_sysctls, {"a": (8192, "8192"), "b": (8192, "65536"), "c": (1, "1")}, "pass", "3 settings"),
    (host.judge_sysctls, {"a": (8192, "128"), "c": (1, "0")}, "fail", "a is 128, c is 0"),
    (host.judge_sysctls, {"c": (1, "2")}, "fail", "c is 2"),
    (k3s.judge_nodes, k3s.Nodes([node()]), "pass", "n1"),
    (k3s.judge_nodes, k3s.Nodes([]), "fail", "no node"),
    (k3s.judge_nodes, k3s.Nodes([node(ready="False")]), "fail", "container runtime is down"),
    (k3s.judge_nodes, k3s.Nodes([node(pressure="True")]), "fail", "DiskPressure: little space"),
    (k3s.judge_nodes, k3s.Nodes([node(unschedulable=True)]), "fail", "cordoned"),
    (k3s.judge_addresses, k3s.Addresses("10.42.0.0/22", 990), "pass", "1024 addresses"),
    (k3s.judge_addresses, k3s.Addresses("10.42.0.0/24", 222), "pass", "256 addresses"),
    (k3s.judge_addresses, k3s.Addresses("10.42.0.0/24", 223), "fail", "257 addresses"),
    (k3s.judge_addresses, k3s.Addresses("", 100), "fail", "no network"),
    (k3s.judge_kubelet, k3s.Kubelet({"maxPods": 110, "evictionHard": {"a": "1G", "b": "2"}}, {"maxPods": 110, "evictionHard": {"a": "1G"}}), "pass", "maxPods 110"),
    (k3s.judge_kubelet, k3s.Kubelet({"maxPods": 110}, {"maxPods": 200}), "fail", "maxPods is 110"),
    (k3s.judge_kubelet, k3s.Kubelet({"maxPods": 1}, {"maxPods": 1, "evictionHard": {"a": "1G"}}), "fail", "evictionHard is None"),
    (k3s.judge_dns, k3s.Resolved(("10.43.0.1",), Networks()), "pass", "10.43.0.10"),
    (k3s.judge_dns, k3s.Resolved((), Networks()), "fail", "no such name"),
    (k3s.judge_packaged, ("coredns",), "pass", "none"),
    (k3s.judge_packaged, ("coredns", "svclb-traefik-1a"), "fail", "svclb-traefik-1a"),
    (objectstore.judge_bucket, (layout.BUCKET, Bucket(200, 403)), "pass", layout.BUCKET),
    (objectstore.judge_bucket, (layout.BUCKET, Bucket(404, 403)), "fail", "does not exist"),
    (objectstore.judge_bucket, (layout.BUCKET, Bucket(403, 403)), "fail", "its key is refused"),
    (objectstore.judge_bucket, (layout.BUCKET, Bucket(503, 403)), "fail", "HTTP 503"),
    (objectstore.judge_expiry, ("24h",), "pass", "after 24h"),
    (objectstore.judge_expiry, ("24h", None), "fail", "no age is set"),
    (objectstore.judge_expiry, ("168h",), "fail", "after 168h"),
    (objectstore.judge_expiry, (), "fail", "no server runs"),
    (objectstore.judge_key, Bucket(200, 403), "pass", "denied"),
    (objectstore.judge_key, Bucket(200, 404), "fail", "another bucket: HTTP 404"),
    (objectstore.judge_key, Bucket(200, 200), "fail", "another bucket: HTTP 200"),
    (registry.judge_welcome, Answer("/v2/", 200), "pass", "200"),
    (registry.judge_welcome, Answer("/v2/", 0, error="connection refused"), "fail", "connection refused"),
    (registry.judge_refusal, Answer("/v2/", 401), "pass", "401"),
    (registry.judge_refusal, Answer("/v2/", 200), "fail", "200"),
    (registry.judge_exposure, registry.Exposure({"type": "ClusterIP", "clusterIP": Networks().registry_ip}, (Answer("https://b/v2/", 404),), Networks().registry_ip), "pass", "10.43.0.50"),
    (registry.judge_exposure, registry.Exposure({"type": "ClusterIP", "clusterIP": Networks().registry_ip}, (Answer("https://b/v2/", 401, {registry.REGISTRY_HEADER: "registry/2.0"}),), Networks().registry_ip), "fail", "https://b/v2/"),
    (registry.judge_exposure, registry.Exposure({"type": "NodePort", "clusterIP": Networks().registry_ip}, (), Networks().registry_ip), "fail", "NodePort"),
    (builder.judge_workers, (CONTAINERD,), "pass", "containerd in k8s.io"),
    (builder.judge_workers, (), "fail", "none"),
    (builder.judge_workers, (CONTAINERD, {f"{builder.LABEL}.executor": "oci"}), "fail", "oci in no namespace"),
    (builder.judge_workers, (CONTAINERD | {f"{builder.LABEL}.containerd.namespace": "buildkit"},), "fail", "buildkit"),
    (builder.judge_socket_kind, {"/s": FileInfo("/s", "directory", 0o666, "root")}, "fail", "/s is directory"),
    (builder.judge_socket_kind, {"/s": FileInfo("/s", "socket", 0o666, "root")}, "pass", "/s"),
    (builder.judge_ceiling, builder.Ceiling(3_999_997_952, 4_000_000_000), "pass", "4.00 GB"),
    (builder.judge_ceiling, builder.Ceiling(None, 4_000_000_000), "fail", "none"),
    (builder.judge_ceiling, builder.Ceiling(8_000_000_000, 4_000_000_000), "fail", "8.00 GB"),
    (ingress.judge_redirect, ingress.Redirect(Answer("u", 301, {"location": "https://b.example.org/"}), "https://b.example.org:443/"), "pass", "301"),
    (ingress.judge_redirect, ingress.Redirect(Answer("u", 308, {"location": "https://b.example.org:8443/"}), "https://b.example.org:8443/"), "pass", "308"),
    (ingress.judge_redirect, ingress.Redirect(Answer("u", 301, {"location": "https://b.example.org/"}), "https://b.example.org:8443/"), "fail", "301"),
    (ingress.judge_redirect, ingress.Redirect(Answer("u", 200), "https://b.example.org/"), "fail", "nowhere"),
    (ingress.judge_redirect, ingress.Redirect(Answer("u", 0, error="refused"), "https://b.example.org/"), "fail", "refused"),
    (ingress.judge_certificate, ingress.Shown("b.example.org", Answer("u", 200, certificate=CERTIFICATE), "acme"), "pass", "80 days"),
    (ingress.judge_certificate, ingress.Shown("hub.b.example.org", Answer("u", 200, certificate=CERTIFICATE), "acme"), "fail", "b.example.org"),
    (ingress.judge_certificate, ingress.Shown("hub.b.example.org", Answer("u", 200, certificate=Certificate(("*.b.example.org",), "x", 80, True)), "acme"), "pass", "*.b"),
    (ingress.judge_certificate, ingress.Shown("a.hub.b.example.org", Answer("u", 200, certificate=Certificate(("*.b.example.org",), "x", 80, True)), "acme"), "fail", "*.b"),
    (ingress.judge_certificate, ingress.Shown("b.example.org", Answer("u", 0, error="bad", certificate=Certificate(("TRAEFIK DEFAULT CERT",), "t", 300, False, "self-signed")), "acme"), "fail", "self-signed"),
    (ingress.judge_certificate, ingress.Shown("b.example.org", Answer("u", 200, certificate=Certificate(("b.example.org",), "x", 3, True)), "acme"), "warn", "3 days"),
    (ingress.judge_certificate, ingress.Shown("b.example.org", Answer("u", 0, error="refused"), "own-ca"), "fail", "refused"),
    (ingress.judge_drain, ingress.Told(None, Answer("/health", 200, body='{"ok": true}')), "pass", "in rotation"),
    (ingress.judge_drain, ingress.Told(None, Answer("/health", 503, body='{"ok": false}')), "pass", "in rotation"),
    (ingress.judge_drain, ingress.Told(None, Answer("/health", 503, body='{"ok": false, "drained": {}}')), "fail", "says drained"),
    (ingress.judge_drain, ingress.Told(Drain("new disk"), Answer("/health", 503, body='{"ok": false, "drained": {}}')), "pass", "new disk"),
    (ingress.judge_drain, ingress.Told(Drain("new disk"), Answer("/health", 503, body='{"ok": false}')), "fail", "503"),
    (ingress.judge_drain, ingress.Told(Drain("new disk"), Answer("/health", 0, error="refused")), "fail", "refused"),
    (hub.judge_health, health(ok=True), "pass", "Docker registry"),
    (hub.judge_health, health(ok=False, status=503), "fail", "503: Docker registry"),
    (hub.judge_health, Answer("/health", 404, body="404 page not found"), "fail", "404"),
    (hub.judge_versions, hub.Versions(Answer("v", 200, body=json.dumps({"builder_info": {"build_image": PINNED}})), PINNED), "pass", PINNED),
    (hub.judge_versions, hub.Versions(Answer("v", 200, body=json.dumps({"builder_info": {"build_image": "x:1"}})), PINNED), "fail", "x:1"),
    (hub.judge_versions, hub.Versions(Answer("v", 502, body="bad gateway"), PINNED), "fail", "502"),
    (hub.judge_log, f"starting\n{PROOF}\nlistening", "pass", PROOF),
    (hub.judge_log, "starting\nlistening", "fail", "does not say so"),
    (hub.judge_log, f"{PROOF}\nException while loading config file /x.py\nNameError: c", "fail", "NameError: c"),
    (hub.judge_build_pods, [], "pass", "no build runs"),
    (hub.judge_build_pods, build_pod(), "pass", "1 build pods"),
    (hub.judge_build_pods, build_pod(volumes=[{"hostPath": {"path": "/run/binderbox/buildkit"}}]), "fail", "sees /run/binderbox/buildkit"),
    (hub.judge_build_pods, build_pod(volumes=[{"secret": {"secretName": "binder-build-docker-config"}}]), "fail", "binder-build-docker-config"),
    (hub.judge_build_pods, build_pod(volumes=[{"projected": {"sources": [{"serviceAccountToken": {}}]}}]), "fail", "token of the cluster"),
    (hub.judge_build_pods, build_pod(containers=[{"env": [{"name": "CONTAINER_ENGINE_REGISTRY_CREDENTIALS", "value": "x"}]}]), "fail", "CONTAINER_ENGINE_REGISTRY_CREDENTIALS"),
    (hub.judge_build_pods, build_pod(containers=[{"env": [{"name": "A", "valueFrom": {"secretKeyRef": {}}}]}]), "fail", "credential in A"),
    (hub.judge_build_pods, build_pod(containers=[{"securityContext": {"privileged": True}}]), "fail", "privileged"),
    (launch.judge_cold, one_launch(), "pass", "i:1 in 9.0 s"),
    (launch.judge_cold, one_launch(built=False), "fail", "there already"),
    (launch.judge_warm, one_launch(), "fail", "built again"),
    (launch.judge_warm, one_launch(built=False), "pass", "9.0 s"),
    (launch.judge_not_pulled, one_launch(pulled=True), "fail", "pulled it"),
    (launch.judge_seen, (), "pass", "out of reach"),
    (launch.judge_seen, ("metadata is within reach",), "fail", "metadata is within reach"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("judge", "seen", "verdict", "says"), ROWS, ids=lambda value: getattr(value, "__name__", None)
)
def test_what_an_observation_means(judge: Any, seen: Any, verdict: Word, says: str) -> None:
    found = judge(seen)
    assert found.verdict == verdict
    assert says in f"{found.measured} {found.needed} {found.fix}"
    assert verdict == "pass" or (found.needed and found.fix)


def deployment(name: str, *, ready: int = 1, updated: int = 1, seen: int = 2) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "generation": 2},
        "spec": {"replicas": 1},
        "status": {"readyReplicas": ready, "updatedReplicas": updated, "observedGeneration": seen},
    }


@pytest.mark.parametrize(
    ("items", "verdict", "says"),
    [
        ([deployment("hub"), deployment("proxy")], "pass", "hub, proxy"),
        ([deployment("hub")], "fail", "proxy does not exist"),
        ([deployment("hub", ready=0), deployment("proxy")], "fail", "hub has 0 of 1 ready"),
        ([deployment("hub", updated=0), deployment("proxy")], "fail", "hub has 0 of 1 ready"),
        ([deployment("hub", seen=1), deployment("proxy")], "fail", "hub has 0 of 1 ready"),
    ],
    ids=["ready", "missing", "not ready", "old pods only", "change not seen yet"],
)
def test_a_deployment_is_ready_when_its_newest_pods_are(items: list[Any], verdict: Word, says: str) -> None:
    found = workloads.judge_ready(workloads.make_ready("binderhub", ("hub", "proxy"), items))
    assert (found.verdict, says in found.measured) == (verdict, True)


def test_what_the_chart_brings_besides_must_be_ready_as_well() -> None:
    items = [deployment("hub"), deployment("binder"), deployment("proxy", ready=0)]
    probe = FakeProbe(objects={"get deployments -n binderhub": {"items": items}})
    (result,) = run_checks([check for check in of("binderhub") if check.id == "BBX-U01"], probe)
    assert (result.verdict, result.measured) == ("fail", "proxy has 0 of 1 ready")


POLICIES = "mutatingadmissionpolicies,mutatingadmissionpolicybindings,validatingadmissionpolicies,validatingadmissionpolicybindings"
POLICY_OBJECTS = [
    {"kind": f"{how}AdmissionPolicy{end}", "metadata": {"name": name}}
    for how, name in (("Mutating", "binderbox-build-pods"), ("Validating", "binderbox-strangers"))
    for end in ("", "Binding")
]


def test_the_checks_of_a_phase_ask_what_they_need() -> None:
    """One probe that answers like a host that is well; a `look` that asks for another object raises and fails."""
    kubelet = {"maxPods": 29, "podPidsLimit": 4096}
    plan = SimpleNamespace(
        sizing=SimpleNamespace(pods=SimpleNamespace(value=29), build_memory_gb=SimpleNamespace(value=4.0)),
        kubelet="kind: KubeletConfiguration\nmaxPods: 29\npodPidsLimit: 4096\n",
        sysctls={"net.ipv4.ip_forward": 1},
    )
    units = ("k3s", "binderbox-firewall", "binderbox-buildkitd", "binderbox-door")
    private = (
        layout.ETC, layout.SECRETS, layout.KUBECONFIG, layout.K3S_REGISTRIES, k3s.ENCRYPTION_FILE, k3s.REGISTRY_HOSTS,
        builder.SOCKET_DIRECTORY, builder.SCOPE_LIMITS, "/sys/class/net/bbxbuild0",
        *(f"{layout.SECRETS}/{name}" for name in MADE),
    )  # fmt: skip
    namespaces = {
        layout.NAMESPACE: ("objectstore", "registry", "ingress"),
        layout.HUB_NAMESPACE: ("hub", "proxy", "binder"),
    }
    binder, public = "https://binder.example.org", "hub.binder.example.org"
    probe = FakeProbe(
        facts=facts(apparmor=True),
        plan=plan,
        told=(),
        artifacts={"repo2docker": artifact("repo2docker", images=(PINNED,))},
        units={
            **{
                f"{name}.service": UnitState(f"{name}.service", "loaded", "active", "running")
                for name in units
            },
            layout.BUILDS_SLICE: UnitState(layout.BUILDS_SLICE, "loaded", "active", memory_max=4_000_000_000),
        },
        paths={
            **{path: FileInfo(path, "file", 0o600, "root") for path in private},
            layout.BUILDKIT_SOCKET: FileInfo(layout.BUILDKIT_SOCKET, "socket", 0o600, "root"),
            layout.DOOR_SOCKET: FileInfo(layout.DOOR_SOCKET, "socket", 0o666, "root"),
        },
        objects={
            "get nodes": {"items": [node(podCIDR="10.42.0.0/22")]},
            "get --raw /api/v1/nodes/n1/proxy/configz": {"kubeletconfig": kubelet},
            "get deployments,daemonsets -n kube-system": {"items": [deployment("coredns")]},
            f"get {POLICIES}": {"items": POLICY_OBJECTS},
            "get service registry -n binderbox": {
                "spec": {"type": "ClusterIP", "clusterIP": Networks().registry_ip}
            },
            "get pods -n binderhub -l component=binderhub-build": {"items": []},
            f"get pods -n binderbox -l {objectstore.LABEL}": {
                "items": [{"spec": {"containers": [{"env": [{"name": objectstore.EXPIRY, "value": "24h"}]}]}}]
            },
            **{f"get pods -n {namespace}": {"items": []} for namespace in (*namespaces, "kube-system")},
            **{
                f"get deployments -n {namespace}": {"items": [deployment(name) for name in names]}
                for namespace, names in namespaces.items()
            },
        },
        answers={
            "http://binder.example.org/": Answer("", 301, {"location": f"{binder}/"}),
            f"{binder}/": Answer("", 200, certificate=Certificate(("binder.example.org",), "x", 80, True)),
            f"https://{public}/": Answer("", 302, certificate=Certificate((public,), "x", 80, True)),
            f"{binder}/health": health(ok=True),
            f"{binder}/versions": Answer("", 200, body=json.dumps({"builder_info": {"build_image": PINNED}})),
        },
        log=(PROOF,),
        held={"/sys/fs/cgroup/kubepods/cpu.weight": 79, "/sys/fs/cgroup/binderbox.slice/cpu.weight": 40},
    )
    probe.builder_workers = lambda: (CONTAINERD,)  # type: ignore[method-assign]
    results = run_checks(
        of("prepared", "k3s", "objectstore", "registry", "builder", "ingress", "binderhub"), probe
    )
    assert {one.id: one.measured for one in results if one.verdict != "pass"} == {}


def test_without_plan_or_launch_the_checks_that_compare_are_skipped() -> None:
    results = {one.id: one for one in run_checks(of("prepared", "launch"), FakeProbe())}
    assert results["BBX-P03"].measured == "there is no plan to compare with"
    assert {results[f"BBX-L0{number}"].verdict for number in range(1, 6)} == {"skip"}


def test_a_cordoned_node_comes_with_the_command_that_frees_it() -> None:
    assert k3s.judge_nodes(k3s.Nodes([node(unschedulable=True)])).fix == "kubectl uncordon n1, on the host"


def test_a_drained_member_is_asked_for_its_health_behind_the_ingress() -> None:
    behind, front = Answer("/health", 200, body="{}"), Answer("https://binder.example.org/health", 503)
    answers = {one.url: one for one in (behind, front)}
    assert hub.look_health(FakeProbe(answers=answers)) is front
    assert hub.look_health(FakeProbe(facts=facts(drain=Drain("new disk")), answers=answers)) is behind


NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


def ended(name: str, at: str, *, component: str = "hub", count: int = 2) -> dict[str, Any]:
    last = {"terminated": {"reason": "Error", "exitCode": 1, "finishedAt": at}} if at else {}
    state = {"name": "hub", "restartCount": count, "lastState": last}
    return {
        "metadata": {"name": name, "labels": {"component": component}},
        "status": {"containerStatuses": [state]},
    }


@pytest.mark.parametrize(
    ("pods", "verdict"),
    [
        ([ended("hub-1", "2026-01-02T11:00:00Z")], "warn"),
        ([ended("proxy-1", "2026-01-01T13:00:00Z", component="proxy")], "warn"),
        ([ended("hub-1", "2026-01-01T11:00:00Z")], "pass"),
        ([ended("hub-1", "")], "pass"),
        ([ended("jupyter-a", "2026-01-02T11:00:00Z", component="singleuser-server")], "pass"),
        ([], "pass"),
    ],
)
def test_restarts_of_the_last_day_are_a_warning(pods: list[dict[str, Any]], verdict: str) -> None:
    (check,) = [one for one in of("binderhub") if one.id == "BBX-U06"]
    found = hub.Restarts(NOW, dict(hub._ended(pods)))
    assert (check.fatal, check.judge(found).verdict) == (False, "fail" if verdict == "warn" else "pass")
    if verdict == "warn":
        assert "2 times" in check.judge(found).measured
