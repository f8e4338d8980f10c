"""The ingress's release: traefik on the node's ports, with a route for each public name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from binderbox import layout
from binderbox.artifacts.resolve import Artifact
from binderbox.decide import profile
from binderbox.member.model import Member
from binderbox.parts.helm.inputs import PRIORITY_CLASS, ChartInputs, reference, resources
from binderbox.parts.secrets.kinds import TLS_CERTIFICATE, TLS_KEY

INGRESS_USER = 65532  # of the ingress's pod, in charts/ingress
ACME_SERVER = "https://acme-v02.api.letsencrypt.org/directory"
ACME_STAGING_SERVER = "https://acme-staging-v02.api.letsencrypt.org/directory"


def make_inputs(
    member: Member, artifacts: Mapping[str, Artifact], *, acme_staging: bool = False
) -> ChartInputs:
    """traefik on the node's ports, with a route for each public name."""
    own_ca = member.tls == "own-ca"
    tls: dict[str, str] = {"mode": member.tls}
    if not own_ca:
        tls |= {
            "email": member.email or "",
            "server": ACME_STAGING_SERVER if acme_staging else ACME_SERVER,
            "storagePath": f"{member.data_dir}/traefik",
        }
    followed = profile.settings("ingress")
    limits = followed["routes"]
    return ChartInputs(
        release="ingress",
        namespace=layout.NAMESPACE,
        chart="ingress",
        values={
            "image": reference(artifacts["traefik"]),
            "httpPort": member.http_port,
            "httpsPort": member.https_port,
            "timeoutSeconds": followed["timeoutSeconds"],
            "nodeRoutesPath": layout.INGRESS_ROUTES,
            "routes": [
                {
                    **_route(
                        "binder", member.domain, "binder", layout.BINDER_PORT, limits["0"]["maxBodyBytes"]
                    ),
                    "freshConnections": True,  # a BinderHub that is replaced waits for the last one
                },
                _route("hub", member.hub_domain, "proxy-public", 8000, limits["1"]["maxBodyBytes"]),
            ],
            "tls": tls,
            "priorityClassName": PRIORITY_CLASS,
            "goMemoryLimit": "64MiB",
            "resources": resources(cpu="50m", memory="100Mi", cpu_limit="2", memory_limit="1Gi"),
        },
        secret_values={"tls.certificate": TLS_CERTIFICATE, "tls.key": TLS_KEY} if own_ca else {},
        images=(artifacts["traefik"],),
    )


def _route(name: str, host: str, service: str, target_port: int, max_body_bytes: int) -> dict[str, Any]:
    return {
        "name": name,
        "host": host,
        "url": f"http://{service}.{layout.HUB_NAMESPACE}.svc:80",
        "namespace": layout.HUB_NAMESPACE,
        "targetPort": target_port,
        "maxBodyBytes": max_body_bytes,
    }
