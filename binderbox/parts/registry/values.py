"""The registry's release, on the object store's bucket."""

from __future__ import annotations

from collections.abc import Mapping

from binderbox import layout
from binderbox.artifacts.resolve import Artifact
from binderbox.member.model import Member
from binderbox.parts.helm.inputs import PRIORITY_CLASS, ChartInputs, reference, resources

S3_REGION = "us-east-1"  # the server's own default; with another one it refuses signatures


def make_inputs(member: Member, artifacts: Mapping[str, Artifact]) -> ChartInputs:
    """The registry on the object store's bucket."""
    return ChartInputs(
        release="registry",
        namespace=layout.NAMESPACE,
        chart="registry",
        values={
            "image": reference(artifacts["registry"]),
            "clusterIP": member.networks.registry_ip,
            "clientNamespace": layout.HUB_NAMESPACE,
            "s3": {
                "endpoint": f"http://objectstore.{layout.NAMESPACE}.svc:{layout.OBJECTSTORE_PORT}",
                "region": S3_REGION,
                "bucket": layout.BUCKET,
            },
            "priorityClassName": PRIORITY_CLASS,
            "goMemoryLimit": "80MiB",
            "resources": resources(cpu="50m", memory="112Mi", cpu_limit="2", memory_limit="1Gi"),
        },
        secret_values={
            "s3.accessKey": "s3-registry-access-key",
            "s3.secretKey": "s3-registry-secret-key",
            "httpSecret": "registry-http-secret",
            "htpasswd": "registry-htpasswd",
        },
        images=(artifacts["registry"],),
    )
