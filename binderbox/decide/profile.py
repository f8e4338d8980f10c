"""The federation's settings that a visitor can notice, each with its source: the same link behaves alike everywhere.

`SETTINGS` are part of the values that binderbox gives to the charts; a setting that is not the federation's says why.
`NOT_FOLLOWED` names what binderbox leaves out, and why; nothing else of mybinder's values may be missing here.
A test compares both with the real file. Source: mybinder/values.yaml of mybinder.org-deploy, at 95860dbc (2026-08-05).
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

SOURCE = "mybinder.org-deploy 95860dbc mybinder/values.yaml"


@dataclass(frozen=True)
class Setting:
    """One setting: where it stands in our values of `release`, its value, and where the federation has it.

    + says: for a setting that the federation makes by a piece of code: the words of that code
    + deviation: why our value is another than theirs; empty when it is the same
    """

    path: str
    value: Any
    upstream: str
    release: Literal["binderhub", "ingress"] = "binderhub"
    says: str = ""
    deviation: str = ""


def _same(path: str, value: Any) -> Setting:
    return Setting(path, value, f"binderhub.{path}")


BUILD_POD_REQUEST_MB = 128
SETTINGS: tuple[Setting, ...] = (
    _same("config.BinderHub.use_registry", True),
    _same("config.BinderHub.per_repo_quota", 100),
    _same("config.BinderHub.per_repo_quota_higher", 200),
    _same("config.BinderHub.cors_allow_origin", "*"),
    _same("config.KubernetesCleaner.max_age", 3600),
    Setting(
        "config.KubernetesBuildExecutor.repo2docker_extra_args",
        ["--engine=binderbox", "--Repo2Docker.default_buildpack=None"],
        "binderhub.config.KubernetesBuildExecutor.repo2docker_extra_args",
        deviation="our engine in place of docker's, so docker's timeout has nobody to read it; "
        "a repository without an environment fails here as it does there",
    ),
    Setting(
        "config.KubernetesBuildExecutor.resources.limits",
        {"ephemeral-storage": "2G", "memory": "2G", "cpu": "1"},
        "binderhub.config.KubernetesBuildExecutor.resources.limits",
    ),
    Setting(
        "config.KubernetesBuildExecutor.resources.requests",
        {"memory": f"{BUILD_POD_REQUEST_MB}M", "cpu": "50m", "ephemeral-storage": "20M"},
        "binderhub.config.KubernetesBuildExecutor.resources.requests",
        deviation="builds queue at the door, and 2 GB of memory and of disk for each that waits would stand idle on a small machine",
    ),
    Setting(
        "replicas",
        1,
        "binderhub.replicas",
        deviation="two on one machine survive nothing that one does not, and cost 123 MiB",
    ),
    _same("service.type", "ClusterIP"),
    _same("jupyterhub.cull.every", 660),
    _same("jupyterhub.cull.timeout", 600),
    _same("jupyterhub.cull.maxAge", 21600),
    _same("jupyterhub.hub.networkPolicy.enabled", True),
    _same("jupyterhub.hub.config.BinderSpawner.cors_allow_origin", "*"),
    _same("jupyterhub.hub.config.JupyterHub.hub_routespec", "/hub/api/"),
    _same("jupyterhub.hub.config.KubeSpawner.extra_pod_config.enableServiceLinks", False),
    Setting(
        "jupyterhub.hub.config.KubeSpawner.extra_pod_config.restart_policy",
        "Never",
        "binderhub.jupyterhub.hub.extraConfig.neverRestart",
        says="'restart_policy': 'Never'",
    ),
    Setting(
        "jupyterhub.singleuser.allowPrivilegeEscalation",
        False,
        "binderhub.jupyterhub.hub.extraConfig.noPrivilegeEscalation",
        says="allow_privilege_escalation = False",
    ),
    Setting(
        "jupyterhub.hub.authenticatePrometheus",
        False,
        "binderhub.jupyterhub.hub.extraConfig.noAuthMetrics",
        says="authenticate_prometheus = False",
    ),
    _same("jupyterhub.proxy.service.type", "ClusterIP"),
    _same("jupyterhub.proxy.chp.networkPolicy.enabled", True),
    _same("jupyterhub.scheduling.userScheduler.enabled", False),
    _same("jupyterhub.scheduling.userPlaceholder.enabled", False),
    _same("jupyterhub.singleuser.cloudMetadata.blockWithIptables", False),
    _same("jupyterhub.singleuser.networkPolicy.enabled", True),
    _same("jupyterhub.singleuser.networkPolicy.egressAllowRules.nonPrivateIPs", False),
    _same("jupyterhub.singleuser.memory.guarantee", "450M"),
    _same("jupyterhub.singleuser.memory.limit", "2G"),
    _same("jupyterhub.singleuser.cpu.guarantee", 0.01),
    _same("jupyterhub.singleuser.cpu.limit", 1),
    Setting(
        "jupyterhub.singleuser.extraFiles.jupyter-server-config.data",
        {
            "ServerApp": {
                "allow_origin": "*",
                "tornado_settings": {"trust_xheaders": True},
                "shutdown_no_activity_timeout": 600,
            },
            "MappingKernelManager": {"cull_idle_timeout": 600, "cull_interval": 60, "cull_connected": True},
        },
        "etcJupyter.jupyter_server_config\\.json",
    ),
    Setting(
        "timeoutSeconds", 600, "traefik.ports.websecure.transport.respondingTimeouts.readTimeout", "ingress"
    ),
    Setting(
        "timeoutSeconds", 600, "traefik.ports.websecure.transport.respondingTimeouts.idleTimeout", "ingress"
    ),
    Setting(
        "routes.1.maxBodyBytes",
        64_000_000,
        "traefik.providers.file.content.http.middlewares.hub.buffering.maxRequestBodyBytes",
        "ingress",
    ),
    Setting(
        "routes.0.maxBodyBytes",
        1_000_000,
        "traefik.providers.file.content.http.middlewares.default.buffering.maxRequestBodyBytes",
        "ingress",
    ),
)

NOT_FOLLOWED: Mapping[str, str] = {
    "binderhub.resources": "requests are what the parts use on one machine; the limits are the same",
    "binderhub.hpa": "one machine has nothing to scale over",
    "binderhub.networkPolicy": "the node's firewall lets builds and users out to 80, 443 and 9418; "
    "rsync, xroot, Wolfram and IPFS ports stay closed until somebody asks for them (egress_allow)",
    "binderhub.config.GitHubRepoProvider": "quotas of single workshops, above the total quota of most machines",
    "binderhub.config.GitLabRepoProvider": "an empty list",
    "binderhub.config.BinderHub.banner_message": "the federation's pages are the prime's; a banner names its sponsors",
    "binderhub.config.BinderHub.about_message": "the federation's pages are the prime's",
    "binderhub.config.BinderHub.extra_header_html": "counts visitors of mybinder.org's own pages",
    "binderhub.config.KubernetesBuildExecutor.build_image": "pinned in versions.toml, which follows the prime",
    "binderhub.extraConfig": "sends events to the federation's Google project, and a metric of the hub's event loop",
    "binderhub.extraPodSpec.priorityClassName": "our class is called binderbox-system; its number is the same",
    "binderhub.registry.url": "the member's own registry",
    "binderhub.ingress": "the ingress chart's routes",
    "binderhub.imageBuilderType": "the build door",
    "binderhub.dind": "the build door",
    "binderhub.imageCleaner": "speaks docker only",
    "binderhub.jupyterhub.hub.resources": "requests are what the hub uses on one machine; the limits are the same",
    "binderhub.jupyterhub.hub.config.Proxy.extra_routes": "a web server for error pages: here the proxy itself "
    "answers 404 where the federation's page says 424",
    "binderhub.jupyterhub.hub.extraPodSpec.priorityClassName": "our class is called binderbox-system",
    "binderhub.jupyterhub.hub.service": "annotations for a Prometheus that does not run here",
    "binderhub.jupyterhub.proxy.chp.resources": "requests are what the proxy uses; the limits are the same",
    "binderhub.jupyterhub.proxy.chp.extraCommandLineFlags": "the error pages' address; the log level is the same",
    "binderhub.jupyterhub.proxy.chp.extraPodSpec.priorityClassName": "our class is called binderbox-system",
    "binderhub.jupyterhub.ingress": "the ingress chart's routes",
    "binderhub.jupyterhub.singleuser.defaultUrl": "null, which is the chart's default",
    "binderhub.jupyterhub.singleuser.networkPolicy.egress": "the federation has a policy beside the chart; "
    "here the rules stand in the chart's own values",
    "binderhub.jupyterhub.singleuser.storage": "the server's settings are a file of the chart's extraFiles; "
    "the federation's error page templates are not brought along",
    "binderhub.jupyterhub.singleuser.initContainers": "1 Mbit/s of egress for each user, by a privileged container "
    "in every pod: belongs to the node's own traffic control, which does not exist yet",
}


def settings(release: str) -> dict[str, Any]:
    """The settings of one release as a tree of values."""
    tree: dict[str, Any] = {}
    for setting in SETTINGS:
        if setting.release == release:
            put(tree, setting.path, deepcopy(setting.value))
    return tree


def put(tree: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a dotted path, making what is missing on the way."""
    *parents, last = path.split(".")
    for key in parents:
        tree = tree.setdefault(key, {})
    tree[last] = value
