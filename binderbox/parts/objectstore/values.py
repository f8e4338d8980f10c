"""The object store's release: the S3 server that holds the registry's images."""

from __future__ import annotations

from collections.abc import Mapping

from binderbox import layout
from binderbox.artifacts.resolve import Artifact
from binderbox.member.model import Member
from binderbox.parts.helm.inputs import PRIORITY_CLASS, ChartInputs, reference, resources

STALE_UPLOADS_EXPIRY = "24h"  # abandoned uploads pile up: mybinder.org-deploy 6b072edc


def make_inputs(member: Member, artifacts: Mapping[str, Artifact]) -> ChartInputs | None:
    """The S3 server on the member's own directory; None where the config names another one."""
    if member.object_store:
        return None
    return ChartInputs(
        release="objectstore",
        namespace=layout.NAMESPACE,
        chart="objectstore",
        values={
            "image": reference(artifacts["objectstore"]),
            "dataPath": f"{member.data_dir}/objectstore",
            "staleUploadsExpiry": STALE_UPLOADS_EXPIRY,
            "priorityClassName": PRIORITY_CLASS,
            "goMemoryLimit": "128MiB",
            "resources": resources(cpu="50m", memory="176Mi", cpu_limit="2", memory_limit="1Gi"),
        },
        secret_values={"rootUser": "s3-root-user", "rootPassword": "s3-root-password"},
        images=(artifacts["objectstore"],),
    )
