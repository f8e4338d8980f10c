"""One helm release, from one of our charts or from an upstream one."""

from __future__ import annotations

import hashlib

import yaml
from pyinfra.api import deploy

from binderbox import layout
from binderbox.deploys.operations import artifacts, files, helm
from binderbox.deploys.operations.images import imported_all, pulled_all
from binderbox.parts.helm import release
from binderbox.parts.helm.chart import pack
from binderbox.parts.helm.inputs import ChartInputs


@deploy("Install a chart")
def install_chart(inputs: ChartInputs) -> None:
    """Place values and chart on the node and bring the release to them."""
    chart(inputs)


@deploy("Install the object store")
def install_store(inputs: ChartInputs | None) -> None:
    """+ inputs: None where the config names somebody else's"""
    if inputs is not None:
        chart(inputs)


def chart(inputs: ChartInputs) -> None:
    """The operations of it, for a deploy that does more."""
    values = yaml.safe_dump(dict(inputs.values), sort_keys=True, allow_unicode=True)
    if inputs.artifact is None:
        packed: bytes | None = pack(inputs.chart)
        sha256 = hashlib.sha256(packed or b"").hexdigest()
        path = f"{layout.CHARTS}/{inputs.chart}.tgz"
    else:
        packed, sha256 = None, inputs.artifact.sha256
        path = artifacts.path_of(inputs.artifact)
        artifacts.place(
            name=f"Bring the chart {inputs.chart}",
            artifact=inputs.artifact,
            bundle=inputs.bundle,
            _timeout=artifacts.PLACE_S,
        )
    pulled_all(inputs.images)
    imported_all(inputs.images)
    made_from = release.ReleaseInputs(
        inputs.release,
        inputs.namespace,
        path,
        sha256,
        hashlib.sha256(values.encode()).hexdigest(),
        inputs.secret_values,
        inputs.timeout_s,
        inputs.values_files,
    )
    files.contents(
        {
            release.values_path(inputs.release): files.Content(values, release.VALUES_MODE),
            release.inputs_path(inputs.release): files.Content(release.render_inputs(made_from)),
        }
    )
    helm.release(
        name=f"Bring release {inputs.release} up to date",
        release=inputs.release,
        namespace=inputs.namespace,
        chart=path,
        chart_sha256=sha256,
        values_sha256=made_from.values_sha256,
        chart_bytes=packed,
        secret_values=inputs.secret_values,
        values_files=inputs.values_files,
        timeout_s=inputs.timeout_s,
        _timeout=inputs.timeout_s + release.LONGER_THAN_HELM_S,
    )
