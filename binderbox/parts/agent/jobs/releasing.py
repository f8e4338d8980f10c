"""A release on the node, BinderHub's or another: as it is, brought to other inputs, and whether its pods came up."""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from dataclasses import dataclass, replace

from binderbox.federation.following.follow import judge_pods, with_build_image
from binderbox.parts.agent.jobs import files
from binderbox.parts.agent.jobs.running import CommandFailed, helm, kubectl, run
from binderbox.parts.helm.release import (
    ENVIRONMENT,
    HELM,
    KUBECTL,
    LONGER_THAN_HELM_S,
    LOOK,
    VALUES_MODE,
    ReleaseInputs,
    inputs_path,
    leaving_words,
    objects_path,
    parse_inputs,
    parse_release,
    render_inputs,
    upgrade_words,
    values_path,
)

RELEASE = "binderhub"
ROLLOUT_S = 300
LOOK_AGAIN_S = 10


@dataclass(frozen=True)
class Side:
    """A release whole: what it is made from, and the text of its values."""

    inputs: ReleaseInputs
    values: str


def installed(release: str = RELEASE) -> Side:
    """What an install (or a job) last brought the release to; raises ValueError where none did."""
    text, values = files.read(inputs_path(release)), files.read(values_path(release))
    if text is None or values is None:
        raise ValueError(f"{release} is not installed on this node yet")
    side = Side(parse_inputs(text), values)
    if _sha256(values) != side.inputs.values_sha256:
        raise ValueError(f"{values_path(release)} is not what the release was made from")
    return side


def changed(side: Side, chart: str, chart_sha256: str, build_image: str) -> Side:
    """The same release with other pins; raises ValueError when the values have no build image to change."""
    values = with_build_image(side.values, build_image)
    inputs = replace(side.inputs, chart=chart, chart_sha256=chart_sha256, values_sha256=_sha256(values))
    return Side(inputs, values)


def bring(side: Side) -> None:
    """Bring the release there, out of whatever state a killed helm left it in, as an install does."""
    inputs, release = side.inputs, side.inputs.release
    files.write(values_path(release), side.values, VALUES_MODE)
    files.write(inputs_path(release), render_inputs(inputs))
    objects = objects_path(release)
    look = ["sh", "-c", LOOK, "helm-release", inputs.namespace, release, objects, *inputs.secret_files]
    found = parse_release(run(look).splitlines())
    if found.is_at(inputs.digest):
        return
    if not found.is_at(inputs.digest, listed=False):
        if leaving := leaving_words(inputs, *found.way_out()):
            helm(*leaving, timeout_s=inputs.timeout_s + LONGER_THAN_HELM_S)
        helm(*upgrade_words(inputs, found.secrets), timeout_s=inputs.timeout_s + LONGER_THAN_HELM_S)
    _list_objects(inputs, objects)


def wait_rolled_out(kind: str, namespace: str, *selector: str) -> None:
    """Wait until all of a kind run their new pods; raises CommandFailed with what the pods say.

    + selector: of labels that both they and their pods have, as `name=value`
    """
    deadline = time.monotonic() + ROLLOUT_S
    place = ("--namespace", namespace, *(f"--selector={one}" for one in selector))
    for name in kubectl("get", kind, *place, "-o", "name").split():
        while True:
            try:
                kubectl("rollout", "status", name, *place[:2], f"--timeout={LOOK_AGAIN_S}s", timeout_s=60)
                break
            except CommandFailed as error:
                told, hopeless = judge_pods(json.loads(kubectl("get", "pods", *place, "-o", "json"))["items"])
                if hopeless or time.monotonic() > deadline:
                    raise CommandFailed(f"{name} did not come up: {'; '.join(told) or error}") from error


def render_side(side: Side) -> dict[str, str]:
    return {"inputs": render_inputs(side.inputs), "values": side.values}


def parse_side(found: dict[str, str]) -> Side:
    return Side(parse_inputs(found["inputs"]), found["values"])


def _list_objects(inputs: ReleaseInputs, objects: str) -> None:
    """The same list as deploys/operations/helm.py writes, whole or not at all."""
    get = shlex.join(
        ["env", *ENVIRONMENT, HELM, "get", "manifest", inputs.release, "--namespace", inputs.namespace]
    )
    names = f"{KUBECTL} get -n {shlex.quote(inputs.namespace)} -f - -o name > {shlex.quote(f'{objects}.new')}"
    run(["sh", "-c", f"{get} | {names} && mv -f {shlex.quote(f'{objects}.new')} {shlex.quote(objects)}"])


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
