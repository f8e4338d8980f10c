"""The build pod: what it looks like. Subclasses change `get_builder_volumes` or `get_cmd`."""

import json
import os
from typing import Any as Anything
from urllib.parse import urlparse

from kubernetes import client
from traitlets import Dict, Integer, List, Unicode, default

from binderhub.cleaner import KubernetesCleaner
from binderhub.executor import BuildExecutor
from binderhub.progress import ProgressEvent
from binderhub.watching import PodWatching

__all__ = ["BuildExecutor", "KubernetesBuildExecutor", "KubernetesCleaner", "ProgressEvent"]


class KubernetesBuildExecutor(PodWatching, BuildExecutor):
    push_secret = Unicode("binder-build-docker-config", config=True)
    namespace = Unicode(config=True)
    build_image = Unicode("quay.io/jupyterhub/repo2docker:2024.07.0", config=True)
    image_pull_secrets = List([], config=True)
    docker_host = Unicode("/var/run/docker.sock", allow_none=True, config=True)
    resources = Dict(config=True)
    node_selector = Dict({}, config=True)
    extra_envs = Dict({}, config=True)
    log_tail_lines = Integer(100, config=True)

    @default("namespace")
    def _namespace(self) -> str:
        return os.environ.get("BUILD_NAMESPACE", "default")

    @default("builder_info")
    def _builder_info(self) -> dict[str, str]:
        return {"build_image": self.build_image}

    @default("resources")
    def _resources(self) -> dict[str, Anything]:
        return {"limits": {}, "requests": {}}

    def get_builder_volumes(self) -> tuple[list[Anything], list[Anything]]:
        """(volumes, volume mounts), in this order."""
        volumes, mounts = [], []
        if self.docker_host is not None:
            source = client.V1HostPathVolumeSource(path=urlparse(self.docker_host).path, type="Socket")
            volumes.append(client.V1Volume(name="docker-socket", host_path=source))
            mounts.append(client.V1VolumeMount(name="docker-socket", mount_path="/var/run/docker.sock"))
        if self.push_secret and not self.registry_credentials:
            secret = client.V1SecretVolumeSource(secret_name=self.push_secret)
            volumes.append(client.V1Volume(name="docker-config", secret=secret))
            mounts.append(
                client.V1VolumeMount(
                    name="docker-config", mount_path="/root/.docker/config.json", sub_path="config.json"
                )
            )
        return volumes, mounts

    def get_env(self) -> list[Anything]:
        values = dict(self.extra_envs)
        if self.git_credentials:
            values["GIT_CREDENTIAL_ENV"] = self.git_credentials
        if self.registry_credentials:
            values["CONTAINER_ENGINE_REGISTRY_CREDENTIALS"] = json.dumps(self.registry_credentials)
        return [client.V1EnvVar(name=name, value=value) for name, value in values.items()]

    def get_affinity(self) -> Anything:
        term = client.V1PodAffinityTerm(
            topology_key="kubernetes.io/hostname",
            label_selector=client.V1LabelSelector(match_labels={"component": self.component}),
        )
        weighted = [client.V1WeightedPodAffinityTerm(weight=100, pod_affinity_term=term)]
        return client.V1Affinity(
            pod_anti_affinity=client.V1PodAntiAffinity(
                preferred_during_scheduling_ignored_during_execution=weighted
            )
        )

    def get_pod(self) -> Anything:
        volumes, mounts = self.get_builder_volumes()
        builder = client.V1Container(
            name="builder",
            image=self.build_image,
            args=self.get_cmd(),
            volume_mounts=mounts,
            resources=self.resources,
            env=self.get_env(),
        )
        return client.V1Pod(
            metadata=client.V1ObjectMeta(
                name=self.name,
                labels={"name": self.name, "component": self.component},
                annotations={"binder-repo": self.repo_url},
            ),
            spec=client.V1PodSpec(
                containers=[builder],
                volumes=volumes,
                restart_policy="Never",
                node_selector=self.node_selector,
                tolerations=[
                    client.V1Toleration(key=key, operator="Equal", value="user", effect="NoSchedule")
                    for key in ("hub.jupyter.org/dedicated", "hub.jupyter.org_dedicated")
                ],
                affinity=self.get_affinity(),
                image_pull_secrets=[client.V1LocalObjectReference(name=n) for n in self.image_pull_secrets],
            ),
        )
