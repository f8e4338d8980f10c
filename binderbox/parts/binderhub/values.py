"""BinderHub's release: the one place that knows BinderHub's and JupyterHub's names for things. Memory is in M (10^6 bytes)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from binderbox import layout
from binderbox.artifacts.resolve import Artifact
from binderbox.decide import profile, proxies
from binderbox.decide.disk import DiskPlan
from binderbox.decide.sizing import Sizing
from binderbox.member.model import Member
from binderbox.parts.binderhub.egress import user_egress
from binderbox.parts.binderhub.spawner_class import SNIPPET as SPAWNER_SNIPPET
from binderbox.parts.binderhub.spawner_class import spawner_class
from binderbox.parts.binderhub.streams import STREAMS_END_S, drain_streams
from binderbox.parts.builder.build_class import SNIPPET, build_class
from binderbox.parts.helm.inputs import PRIORITY_CLASS, ChartInputs, reference, resources

CHART = "binderhub-chart"
IMAGES = ("binderhub-images", "repo2docker")  # its own, and that of the build pods that it makes
USER_STORAGE_REQUEST = "20M"  # what a server writes as it starts; the whole quota fits
POD_ENGINE = "/opt/binderbox-engine"  # where build pods see the engine
POD_CA = "/opt/binderbox-ca/ca-certificates.crt"


def make_inputs(
    member: Member,
    sizing: Sizing,
    artifacts: Mapping[str, Artifact],
    *,
    disk: DiskPlan,
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
        "resources": resources(cpu="100m", memory="144Mi", cpu_limit="2", memory_limit="1Gi"),
        "extraPodSpec.priorityClassName": PRIORITY_CLASS,
        "extraPodSpec.terminationGracePeriodSeconds": STREAMS_END_S + 30,
        "lifecycle": {"preStop": {"exec": {"command": ["python3", "-c", drain_streams()]}}},
        "registry.url": f"http://{layout.REGISTRY}",
        "config.BinderHub.image_prefix": layout.IMAGE_PREFIX,
        "config.BinderHub.hub_url": member.hub_url,
        "config.BinderHub.hub_url_local": "http://proxy-public",  # /health goes by it, so it sees a proxy that is down
        # Launches go to the hub itself: configurable-http-proxy 4.6.3 never ends an answer that the hub broke off, so a
        # launch that was followed through it while the hub ended would hang until launch_timeout.
        "extraEnv": {"JUPYTERHUB_API_URL": "http://hub:8081/hub/api/"},
        "deployment.labels": {"hub.jupyter.org/network-access-hub": "true"},
        "config.BinderHub.concurrent_build_limit": sizing.build_pods.value,
        "config.Launcher.launch_timeout": sizing.launch_timeout_s.value,
        "config.LaunchQuota.total_quota": sizing.quota.value,
        f"{executor}.docker_host": None,
        f"{executor}.build_image": reference(artifacts["repo2docker"]),
        f"{executor}.extra_envs": _build_env(member),
        f"{executor}.resources.limits": {**build_limits, "memory": f"{sizing.build_pod_memory_mb.value}M"},
        "config.BinderboxBuildExecutor.host_paths": _build_mounts(member),
        "extraConfig": {SNIPPET: build_class()},
        # z2jh's 5 end the hub, whoever's launches failed, and BinderHub tries each four times; the watch of the agent
        # restarts a hub that fails launches, after a proof of its own
        "jupyterhub.hub.consecutiveFailureLimit": 0,
        "jupyterhub.hub.concurrentSpawnLimit": sizing.spawn_limit.value,
        "jupyterhub.hub.extraConfig": {
            **values["jupyterhub"]["hub"].get("extraConfig", {}),
            SPAWNER_SNIPPET: spawner_class(),
        },
        "jupyterhub.hub.config.KubeSpawner.http_timeout": sizing.server_answer_s.value,
        "jupyterhub.hub.config.BinderboxSpawner.run_timeout": sizing.server_start_s.value,
        # the spawner counts both into its start
        "jupyterhub.singleuser.startTimeout": sizing.server_start_s.value + sizing.server_answer_s.value,
        "jupyterhub.hub.db": {
            "type": "other",
            "url": f"sqlite:////srv/hub/{layout.HUB_DATABASE}",
            "upgrade": True,
        },
        "jupyterhub.hub.extraVolumes": [_host_path("hub-db", f"{member.data_dir}/hub", "Directory")],
        "jupyterhub.hub.extraVolumeMounts": [{"name": "hub-db", "mountPath": "/srv/hub"}],
        "jupyterhub.hub.resources": resources(cpu="100m", memory="200Mi", cpu_limit="2", memory_limit="1Gi"),
        "jupyterhub.hub.extraPodSpec.priorityClassName": PRIORITY_CLASS,
        "jupyterhub.proxy.chp.resources": resources(
            cpu="50m", memory="56Mi", cpu_limit="500m", memory_limit="320Mi"
        ),
        "jupyterhub.proxy.chp.extraCommandLineFlags": ["--log-level=error"],
        "jupyterhub.proxy.chp.extraPodSpec.priorityClassName": PRIORITY_CLASS,
        "jupyterhub.singleuser.memory.guarantee": f"{sizing.user_memory_guarantee_mb.value}M",
        "jupyterhub.singleuser.memory.limit": _memory(sizing.user_memory_limit_gb.value),
        "jupyterhub.singleuser.cpu.limit": sizing.user_cpu_limit.value,
        # What a notebook writes into its layer; without a guarantee of its own Kubernetes takes the limit for one.
        "jupyterhub.singleuser.extraResource.limits": {"ephemeral-storage": _memory(disk.user_gb.value)},
        "jupyterhub.singleuser.extraResource.guarantees": {"ephemeral-storage": USER_STORAGE_REQUEST},
        "jupyterhub.singleuser.networkPolicy.egress": user_egress(member),
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
        values["extraEnv"] |= _ca_env()
        values["extraVolumes"] = [_host_path("site-ca", layout.NODE_CA, "File")]
        values["extraVolumeMounts"] = [{"name": "site-ca", "mountPath": POD_CA, "readOnly": True}]
    for name, value in proxies.environment(member, secrets).items():
        if value != proxies.SECRET:
            values["extraEnv"][name] = value
            values["config"]["KubernetesBuildExecutor"]["extra_envs"][name] = value
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
            **{
                f"{place}.{name}": proxies.LOGIN_SECRET
                for name in proxies.of_secret(proxies.environment(member, secrets))
                for place in ("extraEnv", f"{executor}.extra_envs")
            },
        },
        timeout_s=600,
        images=tuple(one for one in artifacts.values() if one.name in IMAGES or one.of == CHART),
        artifact=artifacts[CHART],
        bundle=bundle,
    )


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
    return {**mounts, POD_CA: layout.NODE_CA} if member.extra_ca else mounts
