"""Member, sizing and artifacts to helm values: the one place that knows BinderHub's and JupyterHub's names for things.

Values hold no secret. `secret_values` says which secret of the node goes where: a helm path (`a.b[0]`) to the file's
name under /etc/binderbox/secrets, or to its path under /etc/binderbox when it has a slash. Memory is in M (10^6 bytes).
Requests are what the parts were measured to use, because sizing counts them so; limits are the federation's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from binderbox import layout
from binderbox.artifacts.resolve import Artifact
from binderbox.decide import profile
from binderbox.decide.sizing import Sizing
from binderbox.member.model import Member
from binderbox.parts.builder.build_class import SNIPPET, build_class
from binderbox.parts.firewall.addresses import NOT_PUBLIC_4, PUBLIC_TCP_PORTS

PRIORITY_CLASS = "binderbox-system"
TLS_CERTIFICATE, TLS_KEY = "tls/tls.crt", "tls/tls.key"
ACME_SERVER = "https://acme-v02.api.letsencrypt.org/directory"
ACME_STAGING_SERVER = "https://acme-staging-v02.api.letsencrypt.org/directory"
S3_REGION = "us-east-1"  # the server's own default; with another one it refuses signatures
STALE_UPLOADS_EXPIRY = "24h"  # abandoned uploads pile up: mybinder.org-deploy 6b072edc
POD_ENGINE = "/opt/binderbox-engine"  # where build pods see the engine
POD_CA = "/opt/binderbox-ca/ca-certificates.crt"
NODE_CA = "/etc/ssl/certs/ca-certificates.crt"


# A browser does not take up a build's stream again once it is cut (binderhub b9fad995 js/packages/binderhub-client
# lib/client.js), and BinderHub ends at once when told to. So a pod that is replaced stays until its streams have ended;
# Kubernetes sends it no new ones meanwhile.
STREAMS_END_S = 3600  # no longer than the longest build
UNROUTED_S = 3  # for the endpoints to be taken out everywhere
BINDER_PORT = 8585


def drain_streams() -> str:
    """Python for BinderHub's pod: wait until nobody is connected to its port any more.

    Established connections are state 01 in /proc/net/tcp, addresses and ports in hex.
    """
    return f"""\
import time
end = time.monotonic() + {STREAMS_END_S}
def busy():
    rows = [line.split() for name in ("tcp", "tcp6") for line in open("/proc/net/" + name)]
    return any(row[1].endswith(":{BINDER_PORT:04X}") and row[3] == "01" for row in rows)
time.sleep({UNROUTED_S})
while busy() and time.monotonic() < end:
    time.sleep(0.5)
"""


@dataclass(frozen=True)
class ChartInputs:
    """One helm release: a chart of ours (`chart` names its directory) or, when `artifact` is given, an upstream one."""

    release: str
    namespace: str
    chart: str
    values: Mapping[str, Any]
    secret_values: Mapping[str, str] = field(default_factory=dict)
    timeout_s: int = 300
    images: tuple[Artifact, ...] = ()
    artifact: Artifact | None = None
    bundle: Path | None = None


def objectstore(member: Member, artifacts: Mapping[str, Artifact]) -> ChartInputs:
    """The S3 server on the member's own directory."""
    return ChartInputs(
        release="objectstore",
        namespace=layout.NAMESPACE,
        chart="objectstore",
        values={
            "image": _reference(artifacts["objectstore"]),
            "dataPath": f"{member.data_dir}/objectstore",
            "staleUploadsExpiry": STALE_UPLOADS_EXPIRY,
            "priorityClassName": PRIORITY_CLASS,
            "resources": _resources(cpu="50m", memory="128Mi", cpu_limit="2", memory_limit="1Gi"),
        },
        secret_values={"rootUser": "s3-root-user", "rootPassword": "s3-root-password"},
        images=(artifacts["objectstore"],),
    )


def registry(artifacts: Mapping[str, Artifact]) -> ChartInputs:
    """The registry on the object store's bucket."""
    return ChartInputs(
        release="registry",
        namespace=layout.NAMESPACE,
        chart="registry",
        values={
            "image": _reference(artifacts["registry"]),
            "clusterIP": layout.REGISTRY_IP,
            "clientNamespace": layout.HUB_NAMESPACE,
            "s3": {
                "endpoint": f"http://objectstore.{layout.NAMESPACE}.svc:{layout.OBJECTSTORE_PORT}",
                "region": S3_REGION,
                "bucket": layout.BUCKET,
            },
            "priorityClassName": PRIORITY_CLASS,
            "resources": _resources(cpu="50m", memory="48Mi", cpu_limit="2", memory_limit="1Gi"),
        },
        secret_values={
            "s3.accessKey": "s3-registry-access-key",
            "s3.secretKey": "s3-registry-secret-key",
            "httpSecret": "registry-http-secret",
            "htpasswd": "registry-htpasswd",
        },
        images=(artifacts["registry"],),
    )


def ingress(member: Member, artifacts: Mapping[str, Artifact], *, acme_staging: bool = False) -> ChartInputs:
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
            "image": _reference(artifacts["traefik"]),
            "httpPort": member.http_port,
            "httpsPort": member.https_port,
            "timeoutSeconds": followed["timeoutSeconds"],
            "nodeRoutesPath": layout.INGRESS_ROUTES,
            "routes": [
                {
                    **_route("binder", member.domain, "binder", BINDER_PORT, limits["0"]["maxBodyBytes"]),
                    "freshConnections": True,  # drain_streams waits for the last one
                },
                _route("hub", member.hub_domain, "proxy-public", 8000, limits["1"]["maxBodyBytes"]),
            ],
            "tls": tls,
            "priorityClassName": PRIORITY_CLASS,
            "resources": _resources(cpu="50m", memory="64Mi", cpu_limit="2", memory_limit="1Gi"),
        },
        secret_values={"tls.certificate": TLS_CERTIFICATE, "tls.key": TLS_KEY} if own_ca else {},
        images=(artifacts["traefik"],),
    )


def binderhub(
    member: Member,
    sizing: Sizing,
    artifacts: Mapping[str, Artifact],
    *,
    secrets: Collection[str] = (),
    bundle: Path | None = None,
) -> ChartInputs:
    """The upstream chart; `secrets` are the names that the node holds, for those that an operator may have given."""
    values = profile.settings("binderhub")
    executor = "config.KubernetesBuildExecutor"
    build_limits = values["config"]["KubernetesBuildExecutor"]["resources"]["limits"]
    for path, value in {
        "imageBuilderType": "host",
        "imageCleaner.enabled": False,
        "resources": _resources(cpu="100m", memory="128Mi", cpu_limit="2", memory_limit="1Gi"),
        "extraPodSpec.priorityClassName": PRIORITY_CLASS,
        "extraPodSpec.terminationGracePeriodSeconds": STREAMS_END_S + 30,
        "lifecycle": {"preStop": {"exec": {"command": ["python3", "-c", drain_streams()]}}},
        "registry.url": f"http://{layout.REGISTRY}",
        "config.BinderHub.image_prefix": layout.IMAGE_PREFIX,
        "config.BinderHub.hub_url": member.hub_url,
        "config.BinderHub.hub_url_local": "http://proxy-public",
        "config.LaunchQuota.total_quota": sizing.quota.value,
        f"{executor}.docker_host": None,
        f"{executor}.build_image": _reference(artifacts["repo2docker"]),
        f"{executor}.extra_envs": _build_env(member),
        f"{executor}.resources.limits": {**build_limits, "memory": f"{sizing.build_pod_memory_mb.value}M"},
        "config.BinderboxBuildExecutor.host_paths": _build_mounts(member),
        "extraConfig": {SNIPPET: build_class()},
        "jupyterhub.hub.db": {
            "type": "other",
            "url": "sqlite:////srv/hub/jupyterhub.sqlite",
            "upgrade": True,
        },
        "jupyterhub.hub.extraVolumes": [_host_path("hub-db", f"{member.data_dir}/hub", "Directory")],
        "jupyterhub.hub.extraVolumeMounts": [{"name": "hub-db", "mountPath": "/srv/hub"}],
        "jupyterhub.hub.resources": _resources(cpu="100m", memory="160Mi", cpu_limit="2", memory_limit="1Gi"),
        "jupyterhub.hub.extraPodSpec.priorityClassName": PRIORITY_CLASS,
        "jupyterhub.proxy.chp.resources": _resources(
            cpu="50m", memory="32Mi", cpu_limit="500m", memory_limit="320Mi"
        ),
        "jupyterhub.proxy.chp.extraCommandLineFlags": ["--log-level=error"],
        "jupyterhub.proxy.chp.extraPodSpec.priorityClassName": PRIORITY_CLASS,
        "jupyterhub.singleuser.memory.guarantee": f"{sizing.user_memory_guarantee_mb.value}M",
        "jupyterhub.singleuser.memory.limit": _memory(sizing.user_memory_limit_gb.value),
        "jupyterhub.singleuser.cpu.limit": sizing.user_cpu_limit.value,
        "jupyterhub.singleuser.networkPolicy.egress": _user_egress(member),
        "jupyterhub.singleuser.networkPolicy.egressAllowRules.dnsPortsPrivateIPs": False,
        "jupyterhub.singleuser.networkPolicy.egressAllowRules.dnsPortsCloudMetadataServer": False,
        "jupyterhub.singleuser.extraFiles.jupyter-server-config.mountPath": "/etc/jupyter/jupyter_server_config.json",
    }.items():
        profile.put(values, path, value)
    if member.offline:
        arguments = values["config"]["KubernetesBuildExecutor"]["repo2docker_extra_args"]
        offline = f"--config={POD_ENGINE}/binderbox_engine/git_only_config.py"
        profile.put(values, f"{executor}.repo2docker_extra_args", [*arguments, offline])
    if member.extra_ca:  # BinderHub resolves references at the same sites from which build pods clone
        values["extraEnv"] = _ca_env()
        values["extraVolumes"] = [_host_path("site-ca", NODE_CA, "File")]
        values["extraVolumeMounts"] = [{"name": "site-ca", "mountPath": POD_CA, "readOnly": True}]
    given = {
        "config.GitHubRepoProvider.client_id": "github-client-id",
        "config.GitHubRepoProvider.client_secret": "github-client-secret",
    }
    return ChartInputs(
        release="binderhub",
        namespace=layout.HUB_NAMESPACE,
        chart="binderhub",
        values=values,
        secret_values={
            "registry.username": "registry-user",
            "registry.password": "registry-password",
            "jupyterhub.hub.cookieSecret": "hub-cookie-secret",
            "jupyterhub.hub.config.CryptKeeper.keys[0]": "hub-crypt-key",
            "jupyterhub.hub.services.binder.apiToken": "binder-service-token",
            "jupyterhub.proxy.secretToken": "proxy-token",
            "config.BinderHub.build_token_secret": "build-token"
            if "build-token" in secrets
            else "own-build-token",
            **{path: name for path, name in given.items() if name in secrets},
        },
        timeout_s=600,
        images=(artifacts["repo2docker"],),
        artifact=artifacts["binderhub-chart"],
        bundle=bundle,
    )


def _reference(image: Artifact) -> str:
    return image.images[0]


def _route(name: str, host: str, service: str, target_port: int, max_body_bytes: int) -> dict[str, Any]:
    return {
        "name": name,
        "host": host,
        "url": f"http://{service}.{layout.HUB_NAMESPACE}.svc:80",
        "namespace": layout.HUB_NAMESPACE,
        "targetPort": target_port,
        "maxBodyBytes": max_body_bytes,
    }


def _resources(*, cpu: str, memory: str, cpu_limit: str, memory_limit: str) -> dict[str, dict[str, str]]:
    return {
        "requests": {"cpu": cpu, "memory": memory},
        "limits": {"cpu": cpu_limit, "memory": memory_limit},
    }


def _memory(gb: float) -> str:
    return f"{int(gb)}G" if gb == int(gb) else f"{round(gb * 1000)}M"


def _host_path(name: str, path: str, kind: str) -> dict[str, Any]:
    return {"name": name, "hostPath": {"path": path, "type": kind}}


def _ca_env() -> dict[str, str]:
    """Python's ssl, requests, git and curl each have a variable of their own."""
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE")
    return dict.fromkeys(names, POD_CA)


def _build_env(member: Member) -> dict[str, str]:
    env = {"PYTHONPATH": POD_ENGINE, "BINDERBOX_DOOR": layout.DOOR_SOCKET}
    return {**env, **_ca_env()} if member.extra_ca else env


def _build_mounts(member: Member) -> dict[str, str]:
    """Where a build pod sees what of the node. The door's directory, not its socket: the door may be restarted."""
    mounts = {layout.DOOR_RUN: layout.DOOR_RUN, POD_ENGINE: layout.ENGINE}
    return {**mounts, POD_CA: NODE_CA} if member.extra_ca else mounts


def _user_egress(member: Member) -> list[dict[str, Any]]:
    """What user pods may reach, as the second layer behind the node's firewall. DNS is a rule of the chart's own."""
    ingress_pods = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": layout.NAMESPACE}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "ingress"}},
    }
    public = {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(NOT_PUBLIC_4)}}
    allowed = [
        {"to": [{"ipBlock": {"cidr": allow.network}}], "ports": _tcp(*allow.ports)}
        for allow in member.egress_allow
    ]
    return [
        {"to": [public], "ports": _tcp(*PUBLIC_TCP_PORTS)},
        {
            "to": [ingress_pods],
            "ports": _tcp(8080, 8443),
        },  # the member's own public names, as the pods see them
        *allowed,
    ]


def _tcp(*ports: int) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in ports]
