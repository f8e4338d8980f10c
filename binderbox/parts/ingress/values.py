"""The ingress's release: traefik on the node's ports, with a route for each public name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from binderbox import layout
from binderbox.artifacts.resolve import Artifact
from binderbox.decide import profile, proxies, urls
from binderbox.decide.certificates import Received
from binderbox.member.model import Member
from binderbox.parts.helm.inputs import PRIORITY_CLASS, ChartInputs, reference, resources
from binderbox.parts.ingress import acme
from binderbox.parts.secrets.kinds import TLS_CERTIFICATE, TLS_KEY

INGRESS_USER = 65532  # of the ingress's pod, in charts/ingress


def make_inputs(
    member: Member,
    artifacts: Mapping[str, Artifact],
    received: Mapping[str, tuple[Received, ...]] | None = None,
    identity: str = "",
    secrets: Collection[str] = (),
) -> ChartInputs:
    """traefik on the node's ports, with a route for each public name.

    `received` is by the file of `acme.storage`; `identity` is what port 80 says, so that others know whose it is.
    """
    own_ca = member.tls == "own-ca"
    tls: dict[str, Any] = {"mode": member.tls}
    if not own_ca:
        server = acme.server(member)
        tls |= {
            "email": acme.account_email(member),
            "server": server,
            "serverPort": proxies.port(member) or urls.port(server),
            "storagePath": f"{member.data_dir}/{acme.DIRECTORY}",
            "storageFile": acme.storage(server),
            "certificatesDurationHours": acme.duration_hours(acme.held(member, received or {})),
            # the authority may be the site's own, or be reached through a box of the site that ends TLS
            "authoritiesPath": layout.NODE_CA if member.extra_ca else "",
        }
    proxy = {} if own_ca else proxies.environment(member, secrets)
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
            "environment": {name: value for name, value in proxy.items() if value != proxies.SECRET},
            "identity": {"path": layout.IDENTITY_PATH, "text": identity},
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
        secret_values={"tls.certificate": TLS_CERTIFICATE, "tls.key": TLS_KEY}
        if own_ca
        else {f"environment.{name}": proxies.LOGIN_SECRET for name in proxies.of_secret(proxy)},
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
