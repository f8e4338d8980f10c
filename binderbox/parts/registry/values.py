"""The registry's release, on the object store's bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from binderbox import layout
from binderbox.artifacts.resolve import Artifact
from binderbox.member.model import Member, ObjectStore
from binderbox.parts.helm.inputs import PRIORITY_CLASS, ChartInputs, reference, resources

S3_REGION = "us-east-1"  # the server's own default; with another one it refuses signatures


def make_inputs(member: Member, artifacts: Mapping[str, Artifact]) -> ChartInputs:
    """The registry on the object store's bucket."""
    access, secret = layout.STORE_KEYS if member.object_store else layout.REGISTRY_KEYS
    return ChartInputs(
        release="registry",
        namespace=layout.NAMESPACE,
        chart="registry",
        values={
            "image": reference(artifacts["registry"]),
            "clusterIP": member.networks.registry_ip,
            "clientNamespace": layout.HUB_NAMESPACE,
            "s3": _bucket(member.object_store),
            "authoritiesPath": layout.NODE_CA if member.object_store and member.extra_ca else "",
            "authoritiesSha256": _digest(member.extra_ca) if member.object_store and member.extra_ca else "",
            "priorityClassName": PRIORITY_CLASS,
            "goMemoryLimit": "80MiB",
            "resources": resources(cpu="50m", memory="112Mi", cpu_limit="2", memory_limit="1Gi"),
        },
        secret_values={
            "s3.accessKey": access,
            "s3.secretKey": secret,
            "httpSecret": "registry-http-secret",
            "htpasswd": "registry-htpasswd",
        },
        images=(artifacts["registry"],),
    )


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _bucket(store: ObjectStore | None) -> dict[str, Any]:
    """`outsidePort` is where it is asked outside the cluster, 0 for nowhere."""
    if store is None:
        return {
            "endpoint": f"http://objectstore.{layout.NAMESPACE}.svc:{layout.OBJECTSTORE_PORT}",
            "region": S3_REGION,
            "bucket": layout.BUCKET,
            "forcePathStyle": True,
            "outsidePort": 0,
        }
    return {
        "endpoint": store.endpoint,
        "region": store.region,
        "bucket": store.bucket,
        "forcePathStyle": store.path_style,
        "outsidePort": store.port,
    }
