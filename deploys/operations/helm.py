"""helm as a state: a release that is at its inputs is left alone, so there is no run and no new revision.

A release's inputs are its chart, its values and the content of the secrets that go into them; their hashes stand on
the release as labels. helm runs on the node, and reads each secret from its file there (`--set-file`), so a secret
stands in no argument and in no file but its own.
An object that somebody deleted brings a run; one that somebody edited is helm's to overwrite at the next run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Mapping

from pyinfra import host
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation

from binderbox import layout
from binderbox.deploys.facts.helm import INPUTS_LABEL, KUBECTL, SECRETS_LABEL, HelmRelease, ReleaseState
from binderbox.deploys.operations.files import Upload

HELM = f"{layout.BIN}/helm"
KEPT_REVISIONS = 3
ENVIRONMENT = (
    f"KUBECONFIG={layout.KUBECONFIG}",
    f"HELM_CACHE_HOME={layout.RUN}/helm",
    f"HELM_DATA_HOME={layout.RUN}/helm",
)


def values_path(release: str) -> str:
    """Where the node keeps a release's values; they hold no secret."""
    return f"{layout.CHARTS}/{release}.values.yaml"


def secret_path(name: str) -> str:
    """A secret's file on the node: see values.py."""
    return f"{layout.ETC}/{name}" if "/" in name else f"{layout.SECRETS}/{name}"


@operation()
def release(
    release: str,
    namespace: str,
    chart: str,
    chart_sha256: str,
    values_sha256: str,
    *,
    chart_bytes: bytes | None = None,
    secret_values: Mapping[str, str] | None = None,
    timeout_s: int = 300,
) -> Generator[StringCommand | FileUploadCommand, None, None]:
    """
    Bring a helm release to its inputs, out of whatever state a killed helm left it in.

    + release: its name
    + namespace: its namespace, made if it is not there
    + chart: path of the chart on the node
    + chart_sha256: the chart's checksum
    + values_sha256: checksum of the values at `values_path(release)`
    + chart_bytes: the chart itself, when it is one of ours and must be uploaded
    + secret_values: helm path to the name of the secret that goes there
    + timeout_s: how long helm itself may take; whether its pods come up is for the phase's checks, which say why not
    """
    secrets = dict(sorted((secret_values or {}).items()))
    inputs = inputs_hash(release, namespace, chart_sha256, values_sha256, secrets)
    objects = f"{layout.CHARTS}/{release}.objects"
    files = [secret_path(name) for name in secrets.values()]
    found: ReleaseState = host.get_fact(
        HelmRelease, release=release, namespace=namespace, objects=objects, secret_files=files
    )
    if found.is_at(inputs):
        host.noop(f"release {release} is at its inputs")
        return
    if found.is_at(inputs, listed=False):  # a client was killed just before the last step
        yield _list_objects(release, namespace, objects)
        return
    if chart_bytes is not None:
        yield FileUploadCommand(Upload(chart_bytes, 0o644), chart)
    way, revision = found.way_out()
    place = ("--namespace", QuoteString(namespace), "--timeout", f"{timeout_s}s")
    if way == "uninstall":
        yield _helm("uninstall", QuoteString(release), *place, "--no-hooks", "--ignore-not-found", "--wait")
    elif way == "rollback":
        yield _helm("rollback", QuoteString(release), str(revision), *place, "--no-hooks")
    arguments = [
        "upgrade",
        "--install",
        QuoteString(release),
        QuoteString(chart),
        *place,
        "--create-namespace",
    ]
    arguments += ["--reset-values", "--values", QuoteString(values_path(release))]
    for path, name in secrets.items():
        arguments += ["--set-file", QuoteString(f"{path}={secret_path(name)}")]
    labels = f"{INPUTS_LABEL}={inputs},{SECRETS_LABEL}={found.secrets}"
    arguments += ["--labels", labels, "--history-max", str(KEPT_REVISIONS)]
    yield StringCommand(_helm(*arguments), ">/dev/null", "&&", _list_objects(release, namespace, objects))


def inputs_hash(
    release: str, namespace: str, chart_sha256: str, values_sha256: str, secrets: Mapping[str, str]
) -> str:
    """What a release is made from, secrets' contents apart; 40 hex digits, because a label holds no more than 63."""
    text = json.dumps([release, namespace, chart_sha256, values_sha256, sorted(secrets.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _helm(*arguments: object) -> StringCommand:
    return StringCommand("env", *ENVIRONMENT, HELM, *arguments)


def _list_objects(release: str, namespace: str, objects: str) -> StringCommand:
    """Write down what the release consists of, whole or not at all."""
    there, fresh = QuoteString(namespace), QuoteString(f"{objects}.new")
    manifest = _helm("get", "manifest", QuoteString(release), "--namespace", there)
    names = StringCommand(KUBECTL, "get", "-n", there, "-f", "-", "-o", "name", ">", fresh)
    return StringCommand(manifest, "|", names, "&&", "mv", "-f", fresh, QuoteString(objects))
