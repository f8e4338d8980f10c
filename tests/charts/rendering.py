"""Rendering charts with the rig's helm, from the values that binderbox computes."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from binderbox.artifacts.resolve import Artifact
from binderbox.decide.disk import DiskPlan, make_disk_plan
from binderbox.decide.sizing import Sizing, make_sizing
from binderbox.member.model import Member, parse
from binderbox.parts.helm.inputs import ChartInputs
from binderbox.parts.ingress.values import make_inputs as make_ingress
from binderbox.parts.objectstore.values import make_inputs as make_objectstore
from binderbox.parts.registry.values import make_inputs as make_registry
from tests.places import ROOT
from tests.rig import binaries

CHARTS = ROOT / "charts"
KUBE_VERSION = "1.36.3"
SECRETS = {
    "s3-root-user": "rootrootroot",
    "s3-root-password": "0123456789abcdef",
    "s3-registry-access-key": "registrykey",
    "s3-registry-secret-key": "fedcba9876543210",
    "registry-http-secret": "0" * 64,
    "registry-htpasswd": "binderbox:$2b$10$abcdefghijklmnopqrstuv,wxyz={}[0]\n",  # what a command line would mangle
    "tls/tls.crt": "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n",
    "tls/tls.key": "-----BEGIN PRIVATE KEY-----\nYQ==\n-----END PRIVATE KEY-----\n",
}


class Machine:
    ram_gb = 16.6
    cpus = 4


def artifacts() -> dict[str, Artifact]:
    def image(name: str, reference: str) -> Artifact:
        return Artifact(name, "image", "0" * 64, "test", "1", images=(reference,))

    found = [
        image("objectstore", "docker.io/pgsty/silo@sha256:" + "1" * 64),
        image("registry", "docker.io/library/registry:3.1.2"),
        image("traefik", "docker.io/library/traefik:v3.7.13"),
        image("repo2docker", "quay.io/jupyterhub/repo2docker:2026.4.0"),
        Artifact("binderhub-chart", "chart", "2" * 64, "test", "1", file="binderhub.tgz"),
    ]
    return {one.name: one for one in found}


def member(text: str = "") -> Member:
    return parse(f"domain: binder.example.org\n{text}", "test")


def sizing(of: Member) -> Sizing:
    return make_sizing(of, Machine())


def disk(of: Member) -> DiskPlan:
    made = make_disk_plan(of, 100.0, 96.0)
    assert isinstance(made, DiskPlan)
    return made


def ours() -> dict[str, ChartInputs]:
    """Inputs of each of our charts, and of the ingress in both of its ways to certificates."""
    own_ca = member("tls: own-ca")
    acme = member("email: someone@example.org")
    return {
        "objectstore": make_objectstore(own_ca, artifacts()),
        "registry": make_registry(own_ca, artifacts()),
        "ingress": make_ingress(own_ca, artifacts(), identity="the host's own"),
        "ingress-acme": make_ingress(acme, artifacts()),
    }


@cache
def helm() -> str:
    """The rig's helm, taken out of its archive once a run."""
    where = Path(tempfile.mkdtemp(prefix="binderbox-helm-"))
    atexit.register(shutil.rmtree, where, ignore_errors=True)
    with tarfile.open(binaries.helm()) as archive:
        archive.extract("linux-amd64/helm", where, filter="data")
    return str(where / "linux-amd64" / "helm")


def template(
    inputs: ChartInputs, where: Path, *extra: str, chart: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """`helm template` as the helm operation would call it: secrets from files, everything else from one file."""
    (where / "values.yaml").write_text(yaml.safe_dump(dict(inputs.values)))
    arguments = ["--values", str(where / "values.yaml")]
    for path, name in inputs.secret_values.items():
        file = where / name.replace("/", "-")
        file.write_text(SECRETS.get(name, "ab" * 32))
        arguments += ["--set-file", f"{path}={file}"]
    command = [
        helm(),
        "template",
        inputs.release,
        str(chart or CHARTS / inputs.chart),
        "-n",
        inputs.namespace,
    ]
    command += ["--kube-version", KUBE_VERSION, *arguments, *extra]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def objects(rendered: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(rendered) if one]
