"""Policies of our charts against the pods that our charts and BinderHub's make: what one names, another has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from binderbox.parts.binderhub import values
from binderbox.parts.guard.policies import Policed, judge_policies
from tests.charts.rendering import artifacts, disk, member, objects, ours, sizing, template
from tests.rig.bundle import CHART


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Of all charts; the release's namespace, which helm gives, is not in each object."""
    where = tmp_path_factory.mktemp("charts")
    of = member("tls: own-ca")
    hub = values.make_inputs(of, sizing(of), artifacts(), disk=disk(of))
    found = []
    for name, inputs in {**ours(), "binderhub": hub}.items():
        (where / name).mkdir()
        done = template(inputs, where / name, **({"chart": CHART} if name == "binderhub" else {}))
        assert done.returncode == 0, done.stderr
        found += [{"in": inputs.namespace, **one} for one in objects(done.stdout)]
    return found


def policed(rendered: list[dict[str, Any]], **changed: str) -> Policed:
    pods: dict[str, list[dict[str, str]]] = {}
    for one in rendered:
        if one["kind"] in ("Deployment", "DaemonSet"):
            labels = dict(one["spec"]["template"]["metadata"]["labels"])
            pods.setdefault(one["in"], []).append(
                {**labels, **{key: changed[key] for key in changed if key in labels}}
            )
    policies = [
        {**one, "metadata": {**one["metadata"], "namespace": one["in"]}}
        for one in rendered
        if one["kind"] == "NetworkPolicy" and one["in"] == "binderbox"
    ]
    return Policed(policies, pods)


def test_whom_they_name_is_rendered(rendered: list[dict[str, Any]]) -> None:
    found = policed(rendered)
    assert len({one["metadata"]["name"] for one in found.policies}) == 3
    assert judge_policies(found).verdict == "pass"


def test_a_chart_with_other_labels_is_told(rendered: list[dict[str, Any]]) -> None:
    verdict = judge_policies(policed(rendered, component="binderhub"))
    assert verdict.verdict == "fail"
    assert "registry: app=binder, component=binder" in verdict.measured


def test_nothing_at_all_is_no_policy_either(tmp_path: Path) -> None:
    assert judge_policies(Policed((), {})).measured == "0 policies"
