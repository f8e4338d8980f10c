"""The way before: dockerd builds, `docker push` takes the image to the registry, the kubelet pulls it.

At its best: no TLS, no pod around dockerd, no network of its own for build steps, BuildKit inside dockerd, a base that
dockerd, registry and containerd hold already.
"""

from __future__ import annotations

import json
from pathlib import Path

from binderbox import layout
from binderbox.member.model import Networks
from tests.bench.measure import CouldNotMeasure
from tests.rig.host import RigHost

HOME = "/var/lib/containerd/bench"  # on a volume: overlayfs cannot be stacked on the host's own root
RUN = "/run/bench"
SOCKET = f"unix://{RUN}/docker.sock"
REGISTRY = f"{Networks().registry_ip}:5000"  # the node itself does not resolve the cluster's names
UNIT = "bench-dockerd"
SETTINGS = {
    "hosts": [SOCKET],
    "data-root": HOME,
    "exec-root": f"{RUN}/exec",
    "pidfile": f"{RUN}/dockerd.pid",
    "bridge": "none",
    "iptables": False,
    "ip6tables": False,
    "insecure-registries": [REGISTRY],
    "storage-driver": "overlay2",
    "log-level": "warn",
}
ENVIRONMENT = f"export DOCKER_HOST={SOCKET} DOCKER_CONFIG={RUN}/config DOCKER_BUILDKIT=1"
# Installed without starting anything: the package's own services would come with iptables rules.
INSTALL = """
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install --no-install-recommends docker.io >/dev/null
rm /usr/sbin/policy-rc.d
"""
# k3s's runc first in PATH: where the rig's hosts lack a capability, it is the wrapper that makes up for it.
START = f"""
mkdir -p {RUN}/bin {HOME}
ln -sf {layout.RUNC} {RUN}/bin/runc
cat >{RUN}/daemon.json
systemd-run --quiet --unit={UNIT} --setenv=PATH={RUN}/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
    --property=Delegate=yes --property=TasksMax=infinity dockerd --config-file {RUN}/daemon.json
{ENVIRONMENT}
for try in $(seq 100); do
    docker version >/dev/null 2>&1 && break
    sleep 0.3
done
docker version --format '{{{{.Server.Version}}}}' || {{ journalctl -n 30 --no-pager -u {UNIT} >&2; exit 1; }}
"""
LOGIN = f"""
{ENVIRONMENT}
docker login --username "$(cat {layout.SECRETS}/registry-user)" --password-stdin {REGISTRY} \\
    <{layout.SECRETS}/registry-password 2>/dev/null
"""


def start(host: RigHost, base: Path) -> str:
    """Install and start dockerd on the host, log it in, load the base image; returns its version."""
    host.exec(["sh", "-ec", INSTALL], timeout_s=600)
    version = host.exec(["sh", "-ec", START], stdin=json.dumps(SETTINGS).encode(), timeout_s=120)
    if "Succeeded" not in host.exec(["sh", "-ec", LOGIN]):
        raise CouldNotMeasure("dockerd could not log in to the registry")
    with base.open("rb") as archive:
        host.exec(["sh", "-ec", f"{ENVIRONMENT}; docker load --quiet"], stdin=archive.read(), timeout_s=600)
    return version


def stop(host: RigHost) -> None:
    """Stop dockerd and remove what it stored."""
    host.exec(["sh", "-c", f"systemctl stop {UNIT}; rm -rf {HOME} {RUN}"], timeout_s=300)


def build_script(directory: str, base: str, name: str, files: int) -> str:
    """sh text: build, mark, push, mark. `name` is the image's, without registry and tag, and its seed."""
    reference = f"{REGISTRY}/{name}:1"
    return f"""
{ENVIRONMENT}
docker build --quiet --network=host --build-arg BASE={base} --build-arg SEED={name} --build-arg FILES={files} --tag {reference} {directory} >&2
mark built
docker push --quiet {reference} >&2
mark pushed
"""
