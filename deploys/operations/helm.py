"""helm as a state: a release that is at its inputs is left alone, so there is no run and no new revision.

A release's inputs are its chart, its values and the content of the secrets that go into them; their hashes stand on
the release as labels. helm runs on the node, and reads each secret from its file there (`--set-file`), so a secret
stands in no argument and in no file but its own.
An object that somebody deleted brings a run; one that somebody edited is helm's to overwrite at the next run.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping

from pyinfra import host
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation

from binderbox.deploys.facts.helm import HelmRelease
from binderbox.deploys.operations.files import Upload
from binderbox.parts.helm import release as releases
from binderbox.parts.helm.release import ENVIRONMENT, HELM, KUBECTL, PATIENT, ReleaseInputs, ReleaseState


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
    values_files: tuple[str, ...] = (),
    timeout_s: int = 300,
) -> Generator[StringCommand | FileUploadCommand, None, None]:
    """
    Bring a helm release to its inputs, out of whatever state a killed helm left it in.

    + release: its name
    + namespace: its namespace, made if it is not there
    + chart: path of the chart on the node
    + chart_sha256: the chart's checksum
    + values_sha256: checksum of the values at `release.values_path(release)`
    + chart_bytes: the chart itself, when it is one of ours and must be uploaded
    + secret_values: helm path to the name of the secret that goes there
    + values_files: files of the node with further values
    + timeout_s: how long helm itself may take; whether its pods come up is for the phase's checks, which say why not
    """
    secrets = dict(sorted((secret_values or {}).items()))
    inputs = ReleaseInputs(
        release, namespace, chart, chart_sha256, values_sha256, secrets, timeout_s, values_files
    )
    objects = releases.objects_path(release)
    found: ReleaseState = host.get_fact(
        HelmRelease,
        release=release,
        namespace=namespace,
        objects=objects,
        secret_files=list(inputs.secret_files),
    )
    if found.is_at(inputs.digest):
        host.noop(f"release {release} is at its inputs")
        return
    if found.is_at(inputs.digest, listed=False):  # a client was killed just before the last step
        yield _list_objects(release, namespace, objects)
        return
    if chart_bytes is not None:
        yield FileUploadCommand(Upload(chart_bytes, 0o644), chart)
    if leaving := releases.leaving_words(inputs, *found.way_out()):
        yield _patiently(*leaving)
    upgrade = _patiently(*releases.upgrade_words(inputs, found.secrets))
    yield StringCommand(upgrade, "&&", _list_objects(release, namespace, objects))


def _patiently(*words: str) -> StringCommand:
    """helm, asked again while the API server does not answer it; it prints only why it failed."""
    return StringCommand(
        "env",
        *ENVIRONMENT,
        "sh",
        "-c",
        QuoteString(PATIENT),
        "sh",
        HELM,
        *(QuoteString(word) for word in words),
    )


def _helm(*words: str) -> StringCommand:
    return StringCommand("env", *ENVIRONMENT, HELM, *(QuoteString(word) for word in words))


def _list_objects(release: str, namespace: str, objects: str) -> StringCommand:
    """Write down what the release consists of, whole or not at all."""
    there, fresh = QuoteString(namespace), QuoteString(f"{objects}.new")
    manifest = _helm("get", "manifest", release, "--namespace", namespace)
    names = StringCommand(KUBECTL, "get", "-n", there, "-f", "-", "-o", "name", ">", fresh)
    return StringCommand(manifest, "|", names, "&&", "mv", "-f", fresh, QuoteString(objects))
