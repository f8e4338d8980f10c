"""Our charts, rendered from values that set every key."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from binderbox import layout
from binderbox.decide.sizing import SYSTEM_POD_MEMORY_GB
from binderbox.member.model import Networks
from binderbox.parts.binderhub.egress import user_egress
from binderbox.parts.binderhub.values import make_inputs as make_binderhub
from tests.charts import rendering

NAMES = sorted(rendering.ours())
UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}
COREDNS = "70Mi"  # k3s's own request for it


@pytest.fixture(params=NAMES)
def release(request: pytest.FixtureRequest) -> Any:
    return rendering.ours()[request.param]


@pytest.fixture
def rendered(release: Any, tmp_path: Path) -> list[dict[str, Any]]:
    result = rendering.template(release, tmp_path)
    assert result.returncode == 0, result.stderr
    return rendering.objects(result.stdout)


def one(found: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (match,) = [each for each in found if each["kind"] == kind]
    return match


def pod_of(found: list[dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = one(found, "Deployment")["spec"]["template"]["spec"]
    return spec


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from leaves(child, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for at, child in enumerate(value):
            yield from leaves(child, f"{path}[{at}]")
    else:
        yield path, value


def amount(text: str) -> float:
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text)).groups()  # type: ignore[union-attr]
    return float(number) * UNITS[unit]


def test_same_values_render_to_the_same_bytes(release: Any, tmp_path: Path) -> None:
    assert rendering.template(release, tmp_path).stdout == rendering.template(release, tmp_path).stdout != ""


def test_nothing_rendered_is_null_or_a_moving_tag(rendered: list[dict[str, Any]]) -> None:
    for path, value in (leaf for each in rendered for leaf in leaves(each)):
        assert value is not None, path
        assert not str(value).endswith(":latest"), path


def test_everything_lands_in_our_namespace(rendered: list[dict[str, Any]]) -> None:
    assert {each["metadata"]["namespace"] for each in rendered} == {layout.NAMESPACE}


def test_containers_hold_the_least_rights(rendered: list[dict[str, Any]]) -> None:
    pod = pod_of(rendered)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"readinessProbe", "livenessProbe"} <= container.keys()


def test_requests_stay_within_limits_and_system_pods_outlive_users(rendered: list[dict[str, Any]]) -> None:
    pod = pod_of(rendered)
    assert pod["priorityClassName"] == "binderbox-system"
    for container in pod["containers"]:
        resources = container["resources"]
        for resource in ("cpu", "memory"):
            assert amount(resources["requests"][resource]) <= amount(resources["limits"][resource])
        (soft,) = [one["value"] for one in container["env"] if one["name"] == "GOMEMLIMIT"]
        assert amount(soft.removesuffix("B")) <= amount(resources["limits"]["memory"]) / 2


def test_a_pod_is_replaced_never_doubled(rendered: list[dict[str, Any]]) -> None:
    spec = one(rendered, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")


def test_each_part_has_a_policy_for_both_directions(rendered: list[dict[str, Any]]) -> None:
    policy = one(rendered, "NetworkPolicy")["spec"]
    labels = one(rendered, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert sorted(policy["policyTypes"]) == ["Egress", "Ingress"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()


def test_a_value_nobody_knows_is_refused(release: Any, tmp_path: Path) -> None:
    result = rendering.template(release, tmp_path, "--set", "surprise=1")
    assert result.returncode != 0
    assert "surprise" in result.stderr


def test_a_missing_value_is_refused_by_name(release: Any, tmp_path: Path) -> None:
    for key in release.values:
        rest = {name: value for name, value in release.values.items() if name != key}
        result = rendering.template(type(release)(**{**vars(release), "values": rest}), tmp_path)
        assert result.returncode != 0, key
        assert key in result.stderr or "missing propert" in result.stderr, result.stderr


def test_charts_hold_no_default_of_their_own(release: Any) -> None:
    assert yaml.safe_load((rendering.CHARTS / release.chart / "values.yaml").read_text()) is None


def test_schemas_say_what_each_value_is_and_close_every_object(release: Any) -> None:
    schema = json.loads((rendering.CHARTS / release.chart / "values.schema.json").read_text())
    open_objects = [
        path
        for path, node in objects_of(schema, "")
        if node.get("additionalProperties") is not False
        and node.get("maxProperties") != 0
        and "oneOf" not in node
    ]
    assert open_objects == []


def objects_of(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield path, node
        for key, child in node.items():
            yield from objects_of(child, f"{path}.{key}")
    elif isinstance(node, list):
        for at, child in enumerate(node):
            yield from objects_of(child, f"{path}[{at}]")


def test_secrets_stand_in_secrets_only(release: Any, tmp_path: Path) -> None:
    found = rendering.objects(rendering.template(release, tmp_path).stdout)
    for name in release.secret_values.values():
        secret = rendering.SECRETS[name]
        plain = json.dumps([each for each in found if each["kind"] != "Secret"])
        assert json.dumps(secret)[1:-1] not in plain, name
        held = [
            base64.b64decode(text).decode()
            for each in found
            if each["kind"] == "Secret"
            for text in each["data"].values()
        ]
        assert secret in held, name


# ---- what each chart is for ----


def render(name: str, where: Path) -> list[dict[str, Any]]:
    return rendering.objects(rendering.template(rendering.ours()[name], where).stdout)


def test_object_store_is_reached_by_the_registry_alone(tmp_path: Path) -> None:
    found = render("objectstore", tmp_path)
    policy = one(found, "NetworkPolicy")["spec"]
    (rule,) = policy["ingress"]
    registry = one(render("registry", tmp_path), "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert rule["from"][0]["podSelector"]["matchLabels"].items() <= registry.items()
    assert policy["egress"] == []


def test_object_store_throws_abandoned_uploads_away(tmp_path: Path) -> None:
    (container,) = pod_of(render("objectstore", tmp_path))["containers"]
    assert {"name": "MINIO_API_STALE_UPLOADS_EXPIRY", "value": "24h"} in container["env"]


def test_registry_answers_at_its_fixed_address_without_redirects(tmp_path: Path) -> None:
    found = render("registry", tmp_path)
    service = one(found, "Service")["spec"]
    config = yaml.safe_load(one(found, "ConfigMap")["data"]["config.yml"])
    assert (service["clusterIP"], service["ports"][0]["port"]) == (Networks().registry_ip, 5000)
    assert config["storage"]["redirect"] == {"disable": True}
    assert config["storage"]["delete"] == {"enabled": True}
    assert config["storage"]["s3"]["forcepathstyle"] is True
    assert list(config["auth"]) == ["htpasswd"]


def test_ingress_needs_no_right_in_the_cluster_and_no_dashboard(tmp_path: Path) -> None:
    found = render("ingress", tmp_path)
    assert {each["kind"] for each in found} == {"ConfigMap", "Deployment", "NetworkPolicy", "Secret"}
    static = yaml.safe_load(one(found, "ConfigMap")["data"]["traefik.yml"])
    assert "api" not in static
    assert list(static["providers"]) == ["file"]
    assert static["accessLog"]["fields"]["headers"] == {
        "defaultMode": "drop",
        "names": {"User-Agent": "keep"},
    }
    ports = {
        port["hostPort"]: port["containerPort"]
        for port in pod_of(found)["containers"][0]["ports"]
        if "hostPort" in port
    }
    assert ports == {80: 8080, 443: 8443}


def test_acme_keeps_its_account_on_the_node(tmp_path: Path) -> None:
    found = render("ingress-acme", tmp_path)
    static = yaml.safe_load(one(found, "ConfigMap")["data"]["traefik.yml"])
    acme = static["certificatesResolvers"]["acme"]["acme"]
    assert acme["email"] == "someone@example.org"
    assert acme["httpChallenge"] == {"entryPoint": "web"}
    assert {
        "name": "acme",
        "hostPath": {"path": "/var/lib/binderbox/traefik", "type": "Directory"},
    } in pod_of(found)["volumes"]
    assert "Secret" not in {each["kind"] for each in found}


def test_user_pods_may_reach_the_ingress_by_the_labels_it_really_has(tmp_path: Path) -> None:
    """mybinder's policy named labels of the old ingress, and pushes broke: mybinder.org-deploy#3831."""
    deployment = one(render("ingress", tmp_path), "Deployment")
    (to,) = [peer for rule in user_egress(rendering.member()) for peer in rule["to"] if "podSelector" in peer]
    assert (
        to["podSelector"]["matchLabels"].items()
        <= deployment["spec"]["template"]["metadata"]["labels"].items()
    )
    assert to["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": deployment["metadata"]["namespace"]
    }


def test_what_the_pods_ask_for_is_what_sizing_counts() -> None:
    of = rendering.member("tls: own-ca")
    binderhub = make_binderhub(
        of, rendering.sizing(of), rendering.artifacts(), disk=rendering.disk(of)
    ).values
    jupyterhub = binderhub["jupyterhub"]
    asked = [
        inputs.values["resources"] for name, inputs in rendering.ours().items() if name != "ingress-acme"
    ]
    asked += [binderhub["resources"], jupyterhub["hub"]["resources"], jupyterhub["proxy"]["chp"]["resources"]]
    total = sum(amount(one["requests"]["memory"]) for one in asked) + amount(COREDNS)
    assert 0.9 * SYSTEM_POD_MEMORY_GB <= total / 1e9 <= SYSTEM_POD_MEMORY_GB
