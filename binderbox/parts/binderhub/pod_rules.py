"""What the API server takes of pods that run strangers' code: users' servers and builds.

The hub and BinderHub make such pods as their values say, and those are many, and follow the federation. A
ValidatingAdmissionPolicy holds whatever they say, for these pods by their label and for everything that the
two service accounts make. What it asks of build pods, build_pods.py has set before.

Tokens are looked for among the volumes, where the API server has put them by then: BinderHub's build pods leave it to their
account, whose setting is no (k3s/files.py).

CEL as the API server knows it; a field that is not there counts as Kubernetes' own default for it.
"""

from __future__ import annotations

import json
from typing import Any

from binderbox import layout
from binderbox.parts.builder.door.pods import BUILD_LABEL

NAME = "binderbox-strangers"
USER_LABEL = "singleuser-server"  # KubeSpawner's component label
PATHS_FOR_BUILDS = (layout.ENGINE, layout.DOOR_RUN, layout.NODE_CA)
KIND = {"apiVersion": "admissionregistration.k8s.io/v1"}
BUILD = f"object.metadata.?labels[?'component'].orValue('') == '{BUILD_LABEL}'"
ALL = "object.spec.containers + object.spec.?initContainers.orValue([])"
# (what must hold, what is said where it does not)
RULES = (
    (
        "!object.spec.?hostNetwork.orValue(false) && !object.spec.?hostPID.orValue(false) && !object.spec.?hostIPC.orValue(false)",
        "it shares network, processes or memory with the node",
    ),
    (
        "object.spec.?serviceAccountName.orValue('default') == 'default'",
        "it has a service account of the cluster",
    ),
    (
        "variables.all.all(c, c.?securityContext.?allowPrivilegeEscalation.orValue(true) == false && !c.?securityContext.?privileged.orValue(false))",
        "a container may gain privileges",
    ),
    (
        "variables.all.all(c, c.?securityContext.?capabilities.?add.orValue([]).size() == 0)",
        "a container has capabilities more than usual",
    ),
    (
        "variables.build ? variables.all.all(c, c.?securityContext.?capabilities.?drop.orValue([]).exists(d, d in ['NET_RAW', 'ALL']))"
        " : variables.all.all(c, c.?securityContext.?runAsUser.orValue(object.spec.?securityContext.?runAsUser.orValue(0)) != 0)",
        "a container can make raw packets: a server as root, or a build with CAP_NET_RAW",
    ),
    (
        "object.spec.?securityContext.?seccompProfile.?type.orValue('') != 'Unconfined' && variables.all.all(c, c.?securityContext.?seccompProfile.?type.orValue('') != 'Unconfined')",
        "a container has no seccomp profile",
    ),
    (
        "variables.all.all(c, c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) == 0))",
        "a container takes a port of the node",
    ),
    (
        "object.spec.?volumes.orValue([]).all(v, !has(v.hostPath) || (variables.build && v.hostPath.path in PATHS))",
        "it sees files of the node",
    ),
    (
        "object.spec.?volumes.orValue([]).all(v, !has(v.projected) || v.projected.sources.all(s, !has(s.serviceAccountToken)))",
        "it has a token of the cluster",
    ),
)  # fmt: skip


def policy(labels: dict[str, str]) -> list[dict[str, Any]]:
    """The policy and its binding; where it cannot be applied, no pod is made."""
    paths = json.dumps(PATHS_FOR_BUILDS)
    accounts = f"system:serviceaccount:{layout.HUB_NAMESPACE}:"
    component = "object.metadata.?labels[?'component'].orValue('')"
    theirs = f"{component} in ['{USER_LABEL}', '{BUILD_LABEL}'] || request.userInfo.username.startsWith('{accounts}')"
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    metadata = {"name": NAME, "labels": labels}
    return [
        {
            **KIND,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": metadata,
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {
                    "resourceRules": [pods],
                    "namespaceSelector": {
                        "matchLabels": {"kubernetes.io/metadata.name": layout.HUB_NAMESPACE}
                    },
                },
                "matchConditions": [{"name": "strangers", "expression": theirs}],
                "variables": [
                    {"name": "build", "expression": BUILD},
                    {"name": "all", "expression": ALL},
                ],
                "validations": [
                    {
                        "expression": rule.replace("PATHS", paths),
                        "message": f"a pod of strangers' code: {message}",
                    }
                    for rule, message in RULES
                ],
            },
        },
        {
            **KIND,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": metadata,
            "spec": {"policyName": NAME, "validationActions": ["Deny"]},
        },
    ]
