"""A chart that asks for more than the installed one is told by what it asks for; one that does not, says nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from binderbox.federation.following.powers import added

RELEASE = """
- kind: Deployment
  metadata: {name: hub, namespace: binderhub}
  spec:
    template:
      spec:
        serviceAccountName: hub
        securityContext: {runAsNonRoot: true, fsGroup: 1000, seccompProfile: {type: RuntimeDefault}}
        initContainers: [{name: chown, image: a/b:1}]
        containers:
          - name: hub
            image: a/b:1
            ports: [{containerPort: 8081}]
            securityContext: {allowPrivilegeEscalation: false, runAsUser: 1000, capabilities: {drop: [ALL]}}
        volumes:
          - {name: hub-db, hostPath: {path: /var/lib/binderbox/hub, type: Directory}}
          - {name: config, configMap: {name: hub}}
- kind: Service
  metadata: {name: hub}
  spec: {type: ClusterIP}
- kind: Role
  metadata: {name: hub}
  rules:
    - {apiGroups: [""], resources: [pods, persistentvolumeclaims], verbs: [get, watch, list, create, delete]}
- kind: RoleBinding
  metadata: {name: hub}
  subjects: [{kind: ServiceAccount, name: hub, namespace: binderhub}]
  roleRef: {kind: Role, name: hub, apiGroup: rbac.authorization.k8s.io}
"""


def release() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(RELEASE)
    return found


def told(text: str) -> tuple[str, ...]:
    return added(release(), [*release(), *yaml.safe_load(text)], "binderhub")


def pod(change: str) -> tuple[str, ...]:
    """What is told when the hub's pod gets these keys too."""
    after = copy.deepcopy(release())
    spec = after[0]["spec"]["template"]["spec"]
    for key, value in yaml.safe_load(change).items():
        spec[key] = spec.get(key, []) + value if isinstance(value, list) else value
    return added(release(), after, "binderhub")


def test_the_same_release_asks_for_nothing_more() -> None:
    assert added(release(), release(), "binderhub") == ()


def test_other_images_settings_and_plain_objects_are_no_powers() -> None:
    after = yaml.safe_load(RELEASE.replace("a/b:1", "a/b:2"))
    after += yaml.safe_load("[{kind: ConfigMap, metadata: {name: more}, data: {a: b}}]")
    after[0]["spec"]["template"]["spec"]["volumes"].append({"name": "x", "emptyDir": {}})
    assert added(release(), after, "binderhub") == ()


def test_less_is_no_more() -> None:
    after = release()
    del after[0]["spec"]["template"]["spec"]["volumes"][0], after[2:]
    assert added(release(), after, "binderhub") == ()


@pytest.mark.parametrize(
    ("change", "power"),
    [
        ("volumes: [{name: x, hostPath: {path: /}}]", "Deployment/hub: hostPath /"),
        ("volumes: [{name: x, hostPath: {path: /var/lib/binderbox/hub/..}}]", "hostPath /var/lib/binderbox/hub/.."),
        ("volumes: [{name: x, nfs: {server: a, path: /b}}]", "nfs /b"),
        ("volumes: [{name: x, csi: {driver: a}}]", "csi"),
        ("hostNetwork: true", "hostNetwork"),
        ("hostPID: true", "hostPID"),
        ("hostIPC: true", "hostIPC"),
        ("serviceAccountName: admin", "runs as the service account admin"),
        ("securityContext: {runAsUser: 0}", "runAsUser 0"),
        ("securityContext: {seccompProfile: {type: Unconfined}}", "seccompProfile Unconfined"),
        ("securityContext: {sysctls: [{name: net.ipv4.ip_forward}]}", "sysctl net.ipv4.ip_forward"),
        ("containers: [{name: x, securityContext: {privileged: true}}]", "privileged True"),
        ("initContainers: [{name: x, securityContext: {privileged: true}}]", "privileged True"),
        ("ephemeralContainers: [{name: x, securityContext: {privileged: true}}]", "privileged True"),
        ("containers: [{name: x, securityContext: {capabilities: {add: [SYS_ADMIN]}}}]", "capability SYS_ADMIN"),
        ("containers: [{name: x, securityContext: {allowPrivilegeEscalation: true}}]", "allowPrivilegeEscalation"),
        ("containers: [{name: x, securityContext: {procMount: Unmasked}}]", "procMount Unmasked"),
        ("containers: [{name: x, securityContext: {appArmorProfile: {type: Unconfined}}}]", "appArmorProfile"),
        ("containers: [{name: x, ports: [{containerPort: 1, hostPort: 22}]}]", "hostPort 22"),
    ],
)  # fmt: skip
def test_a_pod_that_may_do_more_on_the_node(change: str, power: str) -> None:
    (one,) = pod(change)
    assert power in one


@pytest.mark.parametrize("kind", ["DaemonSet", "StatefulSet", "Job"])
def test_whatever_makes_the_pod(kind: str) -> None:
    spec = "{hostNetwork: true, containers: []}"
    assert told(f"[{{kind: {kind}, metadata: {{name: x}}, spec: {{template: {{spec: {spec}}}}}}}]") == (
        f"{kind}/x: hostNetwork",
    )


def test_a_pod_inside_a_template_of_a_template() -> None:
    text = "[{kind: CronJob, metadata: {name: x}, spec: {jobTemplate: {spec: {template: {spec: {hostPID: true, containers: []}}}}}}]"
    assert told(text) == ("CronJob/x: hostPID",)


@pytest.mark.parametrize(
    ("text", "powers"),
    [
        ("[{kind: Service, metadata: {name: x}, spec: {type: NodePort}}]", ("Service/x is a NodePort",)),
        ("[{kind: Service, metadata: {name: x}, spec: {externalIPs: [1.1.1.1]}}]", ("Service/x takes the address 1.1.1.1",)),
        ("[{kind: ConfigMap, metadata: {name: x, namespace: kube-system}}]", ("ConfigMap/x in the namespace kube-system",)),
        ("[{kind: MutatingWebhookConfiguration, metadata: {name: x}}]", ("makes a MutatingWebhookConfiguration",)),
        ("[{kind: CustomResourceDefinition, metadata: {name: x}}]", ("makes a CustomResourceDefinition",)),
        ("[{kind: PersistentVolume, metadata: {name: x}}]", ("makes a PersistentVolume",)),
        (
            "[{kind: ClusterRoleBinding, metadata: {name: x}, roleRef: {kind: ClusterRole, name: cluster-admin}, subjects: [{kind: ServiceAccount, name: hub, namespace: binderhub}]}]",
            ("ClusterRoleBinding of ClusterRole cluster-admin to ServiceAccount binderhub/hub",),
        ),
    ],
)  # fmt: skip
def test_an_object_that_reaches_further(text: str, powers: tuple[str, ...]) -> None:
    assert told(text) == powers


def rule(text: str, kind: str = "Role") -> tuple[str, ...]:
    return told(f"[{{kind: {kind}, metadata: {{name: hub}}, rules: [{text}]}}]")


def test_wider_rights_in_the_cluster() -> None:
    assert rule('{apiGroups: [""], resources: [pods], verbs: [get]}') == ()
    assert rule('{apiGroups: [""], resources: [pods], resourceNames: [x], verbs: [get]}') == ()
    assert rule('{apiGroups: [""], resources: [secrets], verbs: [get]}') == ("a Role may get secrets",)
    assert rule('{apiGroups: [""], resources: [pods/exec], verbs: [create]}') == (
        "a Role may create pods/exec",
    )
    assert rule('{apiGroups: [""], resources: [pods], verbs: [patch]}') == ("a Role may patch pods",)
    assert rule('{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}') == ("a Role may * *.*",)
    assert rule('{apiGroups: [""], resources: [pods], verbs: [get]}', "ClusterRole") == (
        "a ClusterRole may get pods",
    )
    assert rule("{nonResourceURLs: [/metrics], verbs: [get]}", "ClusterRole") == (
        "a ClusterRole may get /metrics",
    )


def test_a_role_that_others_fill_may_do_anything() -> None:
    assert told("[{kind: ClusterRole, metadata: {name: x}, aggregationRule: {clusterRoleSelectors: []}}]")
