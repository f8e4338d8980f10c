"""What publishers state is read from its own form, bound to the exact name."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from binderbox.artifacts import chart_images, statements
from binderbox.artifacts.statements import Unstated
from binderbox.artifacts.versions import load

A, B = "a" * 64, "b" * 64


def test_a_line_of_a_list_is_of_exactly_this_file() -> None:
    """k3s's own list names k3s, k3s-airgap-images and others: the hash must not be that of a longer name."""
    text = f"{B}  k3s-airgap-images-amd64.tar.zst\n{A}  k3s\n{B} *k3s-arm64\n"
    assert statements.in_list(text, "k3s") == A
    assert statements.in_list(text, "k3s-arm64") == B


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{A}  k3s-arm64\n", "expected a line for k3s, found a list of 1 files without one"),
        (f"the sum of k3s is {A}\n", "found text that begins with 'the sum of k3s"),
        ("", "found an empty answer"),
        ("<!DOCTYPE html><p>k3s", "found HTML"),
        (f"{A}  k3s\n{B}  k3s\n", "expected one sum for k3s, found"),
        (f"{A[:-1]}  k3s\n", "found text"),
        (f"{A}  ./dir/k3s\n", "without one"),
    ],
)
def test_a_list_that_does_not_say_it_is_told(text: str, words: str) -> None:
    with pytest.raises(Unstated) as caught:
        statements.in_list(text, "k3s")
    assert words in str(caught.value)


def subject(name: str, sha256: str) -> dict[str, object]:
    return {"name": name, "digest": {"sha256": sha256}}


def test_a_provenance_names_the_tar_among_its_subjects() -> None:
    own = "buildkit.linux-amd64.provenance.json"
    text = json.dumps({"subject": [subject(own, B), subject("buildkit.linux-amd64.tar.gz", A)]})
    assert statements.in_provenance(text, "buildkit.linux-amd64.tar.gz") == A
    for broken in ("", "[]", '{"subject": 1}', '{"subject": [1]}', json.dumps({"subject": [{"name": "x"}]})):
        with pytest.raises(Unstated):
            statements.in_provenance(broken, "x")


def test_github_says_the_digest_of_each_asset() -> None:
    assets = [{"name": "k3s", "digest": f"sha256:{A}"}, {"name": "k3s-arm64", "digest": f"sha256:{B}"}]
    assert statements.in_release(json.dumps({"assets": assets}), "k3s") == A
    assert statements.in_release(json.dumps({"assets": [{"name": "k3s", "digest": None}]}), "k3s") is None
    with pytest.raises(Unstated, match="a release of 2 assets without one"):
        statements.in_release(json.dumps({"assets": assets}), "k3s-arm")


def test_a_chart_is_known_by_name_and_version() -> None:
    index = {"entries": {"binderhub": [{"version": "1", "digest": A}, {"version": "1.0", "digest": B}]}}
    assert statements.in_chart_index(yaml.safe_dump(index), "binderhub", "1") == A
    for text in (
        "",
        "entries: 1",
        "entries: {binderhub: [1]}",
        "{",
        yaml.safe_dump({"entries": {"other": []}}),
    ):
        with pytest.raises(Unstated):
            statements.in_chart_index(text, "binderhub", "1")
    with pytest.raises(Unstated, match="binderhub 2"):
        statements.in_chart_index(yaml.safe_dump(index), "binderhub", "2")


def test_a_time_that_never_was_does_not_stop_the_reading_of_an_index() -> None:
    """YAML would make times and numbers of what are texts, and break on those that are none."""
    text = f"entries: {{binderhub: [{{version: 1.10, digest: {A}, created: 2026-99-99}}]}}\n"
    assert statements.in_chart_index(text, "binderhub", "1.10") == A
    digits = "1" * 64
    assert statements.in_chart_index(text.replace(A, digits), "binderhub", "1.10") == digits


def test_a_manifest_is_its_own_sum_and_the_registry_agrees() -> None:
    body = b'{"schemaVersion": 2}'
    digest = hashlib.sha256(body).hexdigest()
    assert statements.of_manifest(body, None) == statements.of_manifest(body, f"sha256:{digest}") == digest
    with pytest.raises(Unstated, match="Docker-Content-Digest says sha256:aaaa"):
        statements.of_manifest(body, f"sha256:{A}")
    for broken in (b"", b"<html>", b"{}", b'{"schemaVersion": 1}'):
        with pytest.raises(Unstated):
            statements.of_manifest(broken, None)


def test_the_shipped_pins_lead_to_a_reader_each() -> None:
    pins = load()
    assert statements.release_of(pins["k3s"].source) == (
        "https://api.github.com/repos/k3s-io/k3s/releases/tags/v1.36.4%2Bk3s1",
        "k3s",
    )
    assert statements.release_of(pins["helm"].source) is None
    for name in ("k3s", "k3s-images", "helm"):
        file = statements.file_of(pins[name].source)
        assert statements.read(pins[name], f"{A}  {file}\n") == A
    provenance = json.dumps({"subject": [subject(statements.file_of(pins["buildkit"].source), A)]})
    assert statements.read(pins["buildkit"], provenance) == A
    chart = pins["binderhub-chart"]
    index = yaml.safe_dump({"entries": {"binderhub": [{"version": chart.version, "digest": A}]}})
    assert statements.read(chart, index) == A


@pytest.mark.parametrize(
    "read",
    [
        lambda text: statements.in_list(text, "x"),
        lambda text: statements.in_provenance(text, "x"),
        lambda text: statements.in_release(text, "x"),
        lambda text: statements.in_chart_index(text, "x", "1"),
        lambda text: statements.of_manifest(text.encode(), None),
    ],
)
@given(st.text(max_size=60) | st.from_regex(r"\{.{0,40}\}", fullmatch=True))
def test_no_text_breaks_a_reader(read: Callable[[str], object], text: str) -> None:
    try:
        read(text)
    except Unstated as error:
        assert str(error)  # noqa: PT017


def packed(**files: object) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else yaml.safe_dump(content).encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


OWN = {
    "image": {"name": "quay.io/x/k8s-binderhub", "tag": "1"},
    "jupyterhub": {"hub": {"image": {"tag": "9"}}},
}
BELOW = {
    "hub": {"image": {"name": "quay.io/x/k8s-hub", "tag": "2"}},
    "proxy": {"chp": {"image": {"name": "quay.io/x/configurable-http-proxy", "tag": "5"}}},
    "singleuser": {"image": {"name": "quay.io/x/k8s-singleuser-sample", "tag": "2"}},
}
SEEN = {
    "k8s-binderhub": "quay.io/x/k8s-binderhub:1",
    "k8s-hub": "quay.io/x/k8s-hub:9",
    "configurable-http-proxy": "quay.io/x/configurable-http-proxy:5",
}


def test_a_charts_images_are_its_own_and_those_of_the_chart_below_it() -> None:
    folder = packed(**{"binderhub/values.yaml": OWN, "binderhub/charts/jupyterhub/values.yaml": BELOW})
    archive = packed(
        **{
            "binderhub/values.yaml": OWN,
            "binderhub/charts/jupyterhub-4.3.6.tgz": packed(**{"jupyterhub/values.yaml": BELOW}),
        }
    )
    assert chart_images.read(folder) == chart_images.read(archive) == SEEN


def test_a_chart_that_names_its_images_by_repository() -> None:
    image, headers = (
        {"repository": f"quay.io/y/{name}", "tag": "3"} for name in ("cryptnono", "fetch-headers")
    )
    values = {"image": {**image, "pullPolicy": ""}, "fetchKernelHeaders": {"image": headers}}
    assert chart_images.read(packed(**{"cryptnono/values.yaml": values})) == {
        "cryptnono": "quay.io/y/cryptnono:3",
        "fetch-headers": "quay.io/y/fetch-headers:3",
    }


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        packed(),
        packed(**{"harbor/values.yaml": {"image": {"name": "a", "tag": "1"}}}),
        packed(**{"binderhub/values.yaml": {"image": 1}}),
        packed(**{"binderhub/values.yaml": OWN})[:-20],
        packed(**{"binderhub/values.yaml": b"image: 2026-99-99"}),
        packed(**{"binderhub/values.yaml": b"[]"}),
    ],
    ids=["empty", "html", "no files", "another chart", "an image of 1", "cut off", "a broken date", "a list"],
)
def test_what_is_no_chart_is_told(data: bytes) -> None:
    with pytest.raises(Unstated, match="expected a packed chart"):
        chart_images.read(data)
