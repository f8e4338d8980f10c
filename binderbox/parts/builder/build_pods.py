"""What the API server changes of each build pod: BinderHub has no key for their capabilities.

With CAP_NET_RAW, containerd's default, a stranger's `git` in a build pod could be the pods' gateway by ARP.
MutatingAdmissionPolicy is on by default from Kubernetes 1.36.
"""

from __future__ import annotations

from typing import Any

from binderbox import layout
from binderbox.parts.builder.door.pods import BUILD_LABEL

NAME = "binderbox-build-pods"
KIND = {"apiVersion": "admissionregistration.k8s.io/v1"}
DROP = """\
object.spec.containers.map(c, JSONPatch{
  op: "add",
  path: "/spec/containers/" + string(object.spec.containers.indexOf(c)) + "/securityContext",
  value: Object.spec.containers.securityContext{
    allowPrivilegeEscalation: false,
    capabilities: Object.spec.containers.securityContext.capabilities{drop: ["NET_RAW"]}
  }
})
"""


def policy(labels: dict[str, str]) -> list[dict[str, Any]]:
    """The policy and its binding; where it cannot be applied, no build pod is made."""
    metadata = {"name": NAME, "labels": labels}
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    return [
        {
            **KIND,
            "kind": "MutatingAdmissionPolicy",
            "metadata": metadata,
            "spec": {
                "failurePolicy": "Fail",
                "reinvocationPolicy": "Never",
                "matchConstraints": {
                    "resourceRules": [pods],
                    "namespaceSelector": {
                        "matchLabels": {"kubernetes.io/metadata.name": layout.HUB_NAMESPACE}
                    },
                    "objectSelector": {"matchLabels": {"component": BUILD_LABEL}},
                },
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": DROP}}],
            },
        },
        {
            **KIND,
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": metadata,
            "spec": {"policyName": NAME},
        },
    ]
