"""What the deploy of k3s needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from binderbox.artifacts.resolve import Artifact
from binderbox.decide.disk import DiskPlan, container_log_mib
from binderbox.decide.sizing import Sizing
from binderbox.member.model import Mirror, Networks
from binderbox.parts.k3s.files import render_config, render_kubelet, render_manifest, render_resolv_conf


@dataclass(frozen=True)
class K3sInputs:
    """k3s with everything it reads at its start.

    + first_images: archives that the node needs to be Ready; images: those that k3s imports and pins while it runs
    """

    binary: Artifact
    helm: Artifact
    first_images: tuple[Artifact, ...]
    images: tuple[Artifact, ...]
    bundle: Path | None
    config: str
    kubelet: str
    resolv_conf: str
    networks: Networks
    manifest: str
    mirrors: tuple[Mirror, ...] = ()
    proxy: str = ""


def make_inputs(
    sizing: Sizing,
    disk: DiskPlan,
    artifacts: Mapping[str, Artifact],
    bundle: Path | None,
    node_name: str,
    resolvers: Iterable[str],
    networks: Networks,
    mirrors: tuple[Mirror, ...] = (),
    proxy: str = "",
) -> K3sInputs:
    return K3sInputs(
        binary=artifacts["k3s"],
        helm=artifacts["helm"],
        first_images=(artifacts["k3s-images"],),
        images=tuple(one for one in artifacts.values() if one.kind == "image"),
        bundle=bundle,
        config=render_config(node_name, networks),
        kubelet=render_kubelet(
            max_pods=sizing.pods.value,
            system_reserved_gb=sizing.system_reserved_gb.value,
            eviction_hard_gb=disk.eviction_hard_gb.value,
            image_gc_high_percent=disk.image_gc_high_percent.value,
            image_gc_low_percent=disk.image_gc_low_percent.value,
            container_log_mib=container_log_mib(disk.logs_gb.value, sizing.pods.value),
            node_eviction_gb=None if disk.node_eviction_gb is None else disk.node_eviction_gb.value,
        ),
        resolv_conf=render_resolv_conf(resolvers),
        networks=networks,
        manifest=render_manifest(),
        mirrors=mirrors,
        proxy=proxy,
    )
