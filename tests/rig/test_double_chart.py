"""The double's chart takes what binderbox gives to the real one, and refuses what the real one could not use."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from binderbox.member.model import Member
from binderbox.parts.binderhub import values
from tests.charts.rendering import artifacts, disk, member, objects, sizing, template

CHART = Path(__file__).parent / "double" / "chart"
PLAIN = "tls: own-ca"


def render(where: Path, of: Member, *extra: str) -> list[dict[str, Any]]:
    done = template(
        values.make_inputs(of, sizing(of), artifacts(), disk=disk(of)), where, *extra, chart=CHART
    )
    assert done.returncode == 0, done.stderr
    return objects(done.stdout)


def find(rendered: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [one for one in rendered if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def test_binderboxs_values_make_the_objects_that_the_real_chart_makes(tmp_path):
    names = {(one["kind"], one["metadata"]["name"]) for one in render(tmp_path, member(PLAIN))}
    assert {
        ("Deployment", "binder"),
        ("Deployment", "hub"),
        ("Service", "binder"),
        ("Service", "hub"),
        ("Service", "proxy-public"),
        ("Secret", "binder-secret"),
        ("Secret", "binder-build-docker-config"),
        ("Secret", "hub"),
        ("NetworkPolicy", "singleuser"),
        ("NetworkPolicy", "hub"),
        ("NetworkPolicy", "proxy"),
    } <= names


def test_the_same_values_render_the_same_and_others_restart_the_pods(tmp_path):
    first, again = render(tmp_path, member(PLAIN)), render(tmp_path, member(PLAIN))
    other = render(tmp_path, member(PLAIN), "--set", "config.LaunchQuota.total_quota=1")
    assert first == again

    def annotations(rendered: list[dict[str, Any]], name: str) -> Any:
        return find(rendered, "Deployment", name)["spec"]["template"]["metadata"]["annotations"]

    assert annotations(other, "binder") != annotations(first, "binder")
    assert annotations(other, "hub") == annotations(first, "hub")


def test_the_registrys_credential_is_in_dockers_form_with_the_scheme_in_its_key(tmp_path):
    secret = find(render(tmp_path, member(PLAIN)), "Secret", "binder-build-docker-config")
    config = json.loads(base64.b64decode(secret["data"]["config.json"]))
    (url,) = config["auths"]
    assert url.startswith("http://")
    user, _, password = base64.b64decode(config["auths"][url]["auth"]).decode().partition(":")
    assert user
    assert password


def test_the_hub_reads_every_value_that_concerns_it(tmp_path):
    secret = find(render(tmp_path, member(PLAIN)), "Secret", "hub")
    found = yaml.safe_load(secret["stringData"]["values.yaml"])
    assert found["hub"]["db"]["type"] == "other"
    assert found["cull"]["maxAge"] == 21600


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ("imageCleaner.enabled=true", "imageCleaner"),
        ("imageBuilderType=dind", "imageBuilderType"),
        ("jupyterhub.scheduling.userScheduler.enabled=true", "userScheduler"),
        ("jupyterhub.singleuser.cloudMetadata.blockWithIptables=true", "blockWithIptables"),
        ("jupyterhub.singleuser.memmory.limit=1G", "memmory"),
        ("configg.BinderHub.x=1", "configg"),
    ],
)
def test_what_the_double_cannot_do_and_unknown_names_are_refused(tmp_path, setting, word):
    of = member(PLAIN)
    done = template(
        values.make_inputs(of, sizing(of), artifacts(), disk=disk(of)),
        tmp_path,
        "--set",
        setting,
        chart=CHART,
    )
    assert done.returncode != 0
    assert word in done.stderr
