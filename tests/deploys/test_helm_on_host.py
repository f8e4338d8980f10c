"""The helm operation on a real node: quiet when nothing is to do, repairs what is gone, gets out of a killed helm."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pyinfra.api import deploy

from binderbox import layout
from binderbox.deploys.operations import files, helm
from binderbox.parts.helm.release import KUBECTL, values_path
from binderbox.world.host.hosts import Host, connect
from binderbox.world.pyinfra import deploying
from binderbox.world.pyinfra.deploying import DeployResult
from tests.charts import rendering
from tests.waiting import wait_until

pytestmark = pytest.mark.host

NAMESPACE, RELEASE, SECRET = "helm-trial", "trial", "helm-trial"
CHART = {
    "Chart.yaml": "{apiVersion: v2, name: trial, version: 1.0.0}",
    "templates/config.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: trial}, data: {word: {{ .Values.word | quote }}}}",
    "templates/secret.yaml": "{apiVersion: v1, kind: Secret, metadata: {name: trial}, stringData: {word: {{ .Values.secret | quote }}}}",
    "templates/hang.yaml": """
{{- if .Values.hang }}
apiVersion: apps/v1
kind: Deployment
metadata: {name: hang}
spec:
  selector: {matchLabels: {app: hang}}
  template:
    metadata: {labels: {app: hang}}
    spec: {containers: [{name: hang, image: "rig.binderbox.test/no-such-image:0", imagePullPolicy: Never}]}
{{- end }}
""",
}


def packed() -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, text in CHART.items():
            entry = tarfile.TarInfo(f"trial/{name}")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return archive.getvalue()


@deploy("Install the trial release")
def install_trial(values: dict[str, Any]) -> None:
    text = yaml.safe_dump(values)
    files.content(name="Write the values", dest=values_path(RELEASE), text=text, mode=0o640)
    helm.release(
        name="Bring the trial release up to date",
        release=RELEASE,
        namespace=NAMESPACE,
        chart=f"{layout.CHARTS}/trial.tgz",
        chart_sha256="trial",
        values_sha256=hashlib.sha256(text.encode()).hexdigest(),
        chart_bytes=packed(),
        secret_values={"secret": SECRET},
        timeout_s=30,
    )


class Node:
    """A node with k3s and helm, and a namespace for trials."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def install(self, **values: Any) -> DeployResult:
        return deploying.run(self.host, install_trial, {"word": "one", "hang": False} | values)

    def preview(self, **values: Any) -> DeployResult:
        return deploying.run(
            self.host, install_trial, {"word": "one", "hang": False} | values, dry=True, diff=True
        )

    def sh(self, script: str) -> str:
        output = self.host.sh(script)
        return output.text.strip()

    def kubectl(self, arguments: str) -> str:
        return self.sh(f"{KUBECTL} -n {NAMESPACE} {arguments}")

    def history(self) -> list[tuple[int, str]]:
        listed = self.sh(f"{' '.join(helm.ENVIRONMENT)} {helm.HELM} history {RELEASE} -n {NAMESPACE} -o yaml")
        return [(one["revision"], one["status"]) for one in yaml.safe_load(listed) or []]

    def kill_helm_within(self, values: dict[str, Any]) -> None:
        """Start helm as the operation does, with a pod that never gets ready, and kill it while it waits."""
        self.host.write(f"{layout.RUN}/trial.yaml", yaml.safe_dump(values).encode())
        self.host.write(f"{layout.CHARTS}/trial.tgz", packed())
        started = (
            f"{' '.join(helm.ENVIRONMENT)} nohup {helm.HELM} upgrade --install {RELEASE} {layout.CHARTS}/trial.tgz -n {NAMESPACE} "
            f"--create-namespace --values {layout.RUN}/trial.yaml --set secret=x --wait --timeout 300s >/dev/null 2>&1 & echo $!"
        )
        process = self.sh(started)
        wait_until(lambda: "hang" in self.kubectl("get deployments -o name"), 60, "helm has begun")
        self.sh(f"kill -KILL {process}")
        assert self.history()[-1][1].startswith("pending-")


@pytest.fixture
def node(installed_host: Any) -> Iterator[Node]:
    with connect(installed_host.host.alias, ssh_config=installed_host.host.ssh_config) as host:
        there = Node(host)
        host.write(f"{layout.SECRETS}/{SECRET}", b"hush, {hush}")
        yield there
        there.sh(f"{KUBECTL} delete namespace {NAMESPACE} --ignore-not-found --timeout=60s")
        there.sh(f"rm -f {layout.SECRETS}/{SECRET} {layout.CHARTS}/trial* {layout.RUN}/trial.yaml")


def test_second_run_changes_nothing_and_makes_no_revision(node: Node) -> None:
    assert len(node.install().changed) == 2
    assert node.kubectl("get secret trial -o jsonpath={.data.word} | base64 -d") == "hush, {hush}"
    again = node.install()
    assert (again.changed, again.unchanged) == ((), 2)
    assert node.history() == [(1, "deployed")]
    assert node.preview().changed == ()


def test_preview_shows_values_and_changes_nothing(node: Node) -> None:
    node.install()
    would = node.preview(word="two")
    assert len(would.changed) == 2
    assert any("-word: one" in diff and "+word: two" in diff for diff in would.diffs)
    assert not any("hush" in diff for diff in would.diffs)
    assert node.history() == [(1, "deployed")]
    assert node.kubectl("get configmap trial -o jsonpath={.data.word}") == "one"


def test_other_values_and_another_secret_each_bring_a_revision(node: Node) -> None:
    node.install()
    node.install(word="two")
    assert node.kubectl("get configmap trial -o jsonpath={.data.word}") == "two"
    node.host.write(f"{layout.SECRETS}/{SECRET}", b"other")
    assert len(node.install(word="two").changed) == 1
    assert node.kubectl("get secret trial -o jsonpath={.data.word} | base64 -d") == "other"
    assert [number for number, _ in node.history()] == [1, 2, 3]


def test_a_deleted_object_comes_back(node: Node) -> None:
    node.install()
    node.kubectl("delete configmap trial")
    assert len(node.install().changed) == 1
    assert node.kubectl("get configmap trial -o jsonpath={.data.word}") == "one"
    assert node.install().changed == ()


def test_helm_killed_in_its_first_install(node: Node) -> None:
    node.kill_helm_within({"word": "one", "hang": True})
    assert len(node.install().changed) == 2
    assert node.history() == [(1, "deployed")]
    assert node.kubectl("get deployments -o name") == ""
    assert node.install().changed == ()


def test_helm_killed_in_an_upgrade(node: Node) -> None:
    node.install()
    node.kill_helm_within({"word": "two", "hang": True})
    assert node.install(word="three").changed != ()
    assert node.history()[-1][1] == "deployed"
    assert node.kubectl("get configmap trial -o jsonpath={.data.word}") == "three"
    assert node.kubectl("get deployments -o name") == ""
    assert node.install(word="three").changed == ()


def test_a_list_of_objects_that_was_never_written_is_written_without_helm(node: Node) -> None:
    node.install()
    node.sh(f"rm {layout.CHARTS}/{RELEASE}.objects")
    assert len(node.install().changed) == 1
    assert node.history() == [(1, "deployed")]
    assert node.install().changed == ()


@pytest.mark.parametrize("chart", sorted(rendering.ours()))
def test_the_api_server_accepts_what_our_charts_render(node: Node, chart: str, tmp_path: Any) -> None:
    """Network policies are not enforced here, so this is where at least their form is proven."""
    rendered = rendering.template(rendering.ours()[chart], tmp_path).stdout
    node.sh(f"{KUBECTL} create namespace {NAMESPACE} --dry-run=client -o yaml | {KUBECTL} apply -f -")
    documents = rendered.replace(f"namespace: {layout.NAMESPACE}", f"namespace: {NAMESPACE}")
    # The registry's fixed address belongs to the real registry here.
    documents = "".join(line for line in documents.splitlines(keepends=True) if "clusterIP:" not in line)
    command = f"{KUBECTL} apply --dry-run=server --validate=strict -f -"
    output = node.host.run(["sh", "-c", command], stdin=documents.encode())
    assert output.ok, output.errors
