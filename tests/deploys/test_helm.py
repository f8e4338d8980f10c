"""The helm operation: what it does for each state a release can be in, and that it never says a secret."""

import io
import re
import shlex
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyinfra.api import FileUploadCommand, StringCommand
from pyinfra.context import ctx_host

from binderbox.deploys.facts.helm import HelmRelease
from binderbox.deploys.operations import helm
from binderbox.parts.helm.chart import pack
from binderbox.parts.helm.release import PATIENT, ReleaseInputs, parse_inputs, parse_release, render_inputs

CASES = yaml.safe_load((Path(__file__).parent / "helm_cases.yaml").read_text())
SECRETS = {"s3.accessKey": "s3-registry-access-key", "tls.key": "tls/tls.key", "keys[0]": "hub-crypt-key"}
CHART = {"release": "registry", "namespace": "binderbox", "chart": "/var/lib/binderbox/charts/registry.tgz"}
HASHES = {"chart_sha256": "c" * 64, "values_sha256": "d" * 64}


class Node:
    """A node whose one answer is given."""

    def __init__(self, says: list[str]) -> None:
        self.says, self.noops = says, list[str]()

    def get_fact(self, fact: type[HelmRelease], **arguments: Any) -> Any:
        fact().command(**arguments)
        return fact().process(self.says)

    def noop(self, why: str) -> None:
        self.noops.append(why)


def run(says: list[str], **changes: Any) -> tuple[list[Any], Node]:
    arguments = {**CHART, **HASHES, "chart_bytes": b"tgz", "secret_values": SECRETS, **changes}
    node = Node(says)
    with ctx_host.use(node):
        return list(helm.release._inner(**arguments)), node  # type: ignore[attr-defined]


def short(command: Any) -> str:
    if isinstance(command, FileUploadCommand):
        return "upload"
    words = shlex.split(str(command))
    words = words[words.index(helm.HELM) + 1 :]
    if words[:2] == ["get", "manifest"]:
        return "list"
    return f"rollback {words[2]}" if words[0] == "rollback" else words[0]


def inputs() -> str:
    return made_from().digest


def made_from(**changes: Any) -> ReleaseInputs:
    given = {
        "release": "registry",
        "namespace": "binderbox",
        "chart": CHART["chart"],
        **HASHES,
        "secrets": SECRETS,
    }
    return ReleaseInputs(**{**given, **changes})


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_release_is_brought_to_its_inputs(case: dict[str, list[str]]) -> None:
    says = [line.replace("INPUTS", inputs()).replace("SECRETS", "e" * 40) for line in case["says"]]
    commands, node = run(says)
    assert [short(command) for command in commands] == case["does"]
    assert bool(node.noops) is (not case["does"])


def test_an_upstream_chart_is_not_uploaded() -> None:
    commands, _ = run([], chart_bytes=None)
    assert [short(command) for command in commands] == ["upgrade"]


def test_secrets_are_named_by_their_files_only() -> None:
    (command,) = (one for one in run([])[0] if isinstance(one, StringCommand))
    words = shlex.split(str(command))
    assert [words[at + 1] for at, word in enumerate(words) if word == "--set-file"] == [
        "keys[0]=/etc/binderbox/secrets/hub-crypt-key",
        "s3.accessKey=/etc/binderbox/secrets/s3-registry-access-key",
        "tls.key=/etc/binderbox/tls/tls.key",
    ]


def test_hostile_names_stay_one_word() -> None:
    hostile = "x; touch /tmp/owned $(id) `id` '"
    commands, _ = run(["revision|1|pending-install||"], release=hostile, namespace=hostile, chart=hostile)
    for command in commands:
        if isinstance(command, StringCommand):
            words = shlex.split(str(command), comments=False)
            assert hostile in words
            assert "touch" not in words
    text = str(HelmRelease().command(hostile, hostile, hostile, [hostile]))
    assert [word for word in shlex.split(text) if "touch" in word] == [hostile] * 4


@pytest.mark.parametrize(
    "changed",
    [
        {"chart_sha256": "0" * 64},
        {"values_sha256": "0" * 64},
        {"release": "other"},
        {"namespace": "other"},
        {"secrets": {}},
        {"secrets": {**SECRETS, "tls.key": "other"}},
    ],
)
def test_every_input_counts(changed: dict[str, Any]) -> None:
    assert made_from(**changed).digest != made_from().digest
    assert re.fullmatch(r"[0-9a-f]{40}", made_from().digest)


def test_where_the_chart_lies_and_how_long_helm_may_take_do_not_count() -> None:
    assert made_from(chart="/elsewhere.tgz", timeout_s=1).digest == made_from().digest


def test_the_record_of_a_release_is_read_as_it_was_written() -> None:
    assert parse_inputs(render_inputs(made_from())) == made_from()
    with pytest.raises(ValueError, match="no record"):
        parse_inputs('{"release": "registry"}')


def test_a_line_that_is_none_of_ours_is_passed_over() -> None:
    assert parse_release(["", "Warning: x|y", "revision|1"]).revisions == ()


@pytest.mark.parametrize("chart", ["objectstore", "registry", "ingress"])
def test_a_chart_is_the_same_bytes_each_time(chart: str) -> None:
    packed = pack(chart)
    assert packed == pack(chart)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        entries = archive.getmembers()
    assert f"{chart}/Chart.yaml" in [entry.name for entry in entries]
    assert f"{chart}/values.schema.json" in [entry.name for entry in entries]
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname) for entry in entries} == {(0, 0, 0, "")}


@pytest.mark.parametrize(
    ("says", "tries", "code"),
    [
        ([""], 1, 0),
        (["Error: Kubernetes cluster unreachable: Get \"https://127.0.0.1:6443/version\": net/http: TLS handshake timeout", ""], 2, 0),
        (["dial tcp 127.0.0.1:6443: connect: connection refused"] * 2 + [""], 3, 0),
        (["Error: UPGRADE FAILED: another operation is in progress"], 1, 1),
        (["Kubernetes cluster unreachable"] * 9, 6, 1),
    ],
)  # fmt: skip
def test_helm_is_asked_again_only_while_nobody_answers_it(
    says: list[str], tries: int, code: int, tmp_path: Path
) -> None:
    for number, text in enumerate(says, 1):
        (tmp_path / str(number)).write_text(text)
    fake = tmp_path / "helm"
    fake.write_text(
        f'#!/bin/sh\ncd {tmp_path}\necho "$*" >> calls\nn=$(wc -l < calls)\ncat $n >&2\n[ ! -s $n ]\n'
    )
    fake.chmod(0o755)
    (tmp_path / "sleep").write_text("#!/bin/sh\n")
    (tmp_path / "sleep").chmod(0o755)
    words = ["env", f"PATH={tmp_path}:/usr/bin:/bin", "sh", "-c", PATIENT, "sh", str(fake), "upgrade", "a b"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (tmp_path / "calls").read_text().splitlines() == ["upgrade a b"] * tries
    assert done.returncode == code
    assert done.stderr.strip() == ("" if code == 0 else says[0])
    assert done.stdout == ""
