"""Builds on a real node: build pods made as BinderHub makes them, the stock repo2docker image, and the real door."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex
from threading import Event
from typing import Any

import pytest

from binderbox import layout
from binderbox.errors import StepFailed
from binderbox.member.model import Networks
from binderbox.parts.binderhub.values import POD_ENGINE
from binderbox.parts.builder import settings as builder
from binderbox.parts.builder.build_class import build_class
from binderbox.world import cluster
from tests.conftest import Installed
from tests.rig import images
from tests.rig.host import RigHost
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

# Below what build pods may see of the node, and nothing else is: pod_rules.py.
REPOSITORIES = IN_POD = f"{layout.DOOR_RUN}/repos"
RUN = token_hex(4)  # stands in every tag, so that a run looks at its own images and events
KNOCK = """
import sys
from binderbox_engine import client
header = {"tag": sys.argv[1], "dockerfile": "Dockerfile", "buildargs": {}, "labels": {}, "platform": ""}
try:
    print("".join(client.build(header, lambda send: None)))
except client.DoorError as refusal:
    print(refusal)
"""
PROBE = """
import socket
from concurrent.futures import ThreadPoolExecutor

def look(target):
    try:
        socket.create_connection(target, timeout=3).close()
        return f"REACHED {{target}}"
    except OSError:
        return f"cut {{target}}"

with ThreadPoolExecutor(20) as pool:
    print("\\n".join(pool.map(look, {targets!r})))
"""
EAT = """
eaten = []
while True:
    eaten.append(b"x" * (64 << 20))
"""
FETCHED = f"http://{Networks().registry_ip}:5000/v2/"
PODS = f"{layout.API}/api/v1/namespaces/{layout.HUB_NAMESPACE}/pods"


@dataclass(frozen=True)
class Ended:
    phase: str
    log: str


class Node:
    """Makes repositories and build pods on a host, and removes them again."""

    pause_s = 0.5

    def __init__(self, host: RigHost) -> None:
        self.host = host
        self.fetch: Future[Ended] | None = None
        self.exec(f"mkdir -p {REPOSITORIES}")
        self.write("knock.py", KNOCK)

    def exec(self, script: str, stdin: bytes | None = None) -> str:
        return self.host.exec(["sh", "-c", script], stdin=stdin)

    def kubectl(self, *words: str) -> str:
        return self.host.exec([layout.K3S, "kubectl", "-n", layout.HUB_NAMESPACE, *words])

    def write(self, path: str, text: str) -> None:
        self.exec(f"mkdir -p $(dirname {REPOSITORIES}/{path}) && cat >{REPOSITORIES}/{path}", text.encode())

    def repository(self, name: str, dockerfile: str, **files: str) -> None:
        self.write(
            f"{name}/Dockerfile", f"FROM {images.SAMPLE_BASE}\nENV UNIQUE={token_hex(4)}\n{dockerfile}\n"
        )
        for file, text in files.items():
            self.write(f"{name}/{file}", text)

    def start(
        self, name: str, *args: str, label: str = "binderhub-build", container: str = "builder"
    ) -> None:
        """Start a pod as BinderHub starts one for repository `name`, or with other arguments."""
        command = ["jupyter-repo2docker", "--ref=main", f"--image={tag_of(name)}", "--no-clean", "--no-run"]
        command += ["--json-logs", "--user-name=jovyan", "--user-id=1000", "--push", "--engine=binderbox"]
        places = {layout.DOOR_RUN: layout.DOOR_RUN, POD_ENGINE: layout.ENGINE}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"build-{name}",
                "labels": {"component": label, "name": f"build-{name}", "binderbox-test": "builder"},
                "annotations": {"binder-repo": f"https://example.org/{name}"},
            },
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "containers": [
                    {
                        "name": container,
                        "image": images.REPO2DOCKER,
                        "imagePullPolicy": "IfNotPresent",
                        "args": list(args) or [*command, f"{IN_POD}/{name}"],
                        "env": [{"name": "PYTHONPATH", "value": POD_ENGINE}],
                        "volumeMounts": [
                            {"name": f"v{n}", "mountPath": place, "readOnly": True}
                            for n, place in enumerate(places)
                        ],
                    }
                ],
                "volumes": [
                    {"name": f"v{n}", "hostPath": {"path": path}} for n, path in enumerate(places.values())
                ],
            },
        }
        made = ("-X", "POST", "-H", "Content-Type: application/json", "--data-binary", "@-")
        self.pods(*made, stdin=json.dumps(pod).encode())

    def pods(self, *words: str, of: str = "", stdin: bytes | None = None, timeout_s: float = 120) -> str:
        """Asks the API server by curl: a kubectl takes a processor for a second, and six wait for their builds at once."""
        place = f"{PODS}/{of}" if of else PODS
        return self.host.exec([*cluster.CURL, *words, place], stdin=stdin, timeout_s=timeout_s)

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.pods(of=f"build-{name}"))["status"]
        return found

    def delete(self, *names: str) -> None:
        """Take pods away at once; one that is gone already is none to complain of."""
        for name in names:
            with suppress(StepFailed):
                self.pods("-X", "DELETE", of=f"{name}?gracePeriodSeconds=0")

    def delete_all(self) -> None:
        """All pods of tests of the builder; returns when they are gone."""
        self.kubectl(
            "delete", "pod", "-l", "binderbox-test=builder", "--grace-period=0", "--force", "--wait=true"
        )

    def wait(self, name: str, within_s: float = 120) -> Ended:
        """How it ended, and what it wrote. BinderHub takes ended build pods away once a minute and waits for nobody, so
        both are streams that begin before the end.
        """
        over = Event()
        follower = ThreadPoolExecutor(1)
        followed = follower.submit(self._followed, name, within_s, over)
        follower.shutdown(wait=False)
        try:
            phase = self._ended(name, within_s)
            try:
                return Ended(phase, self.log(name, 5))
            except StepFailed:
                return Ended(phase, followed.result(60))
        finally:
            over.set()

    def _ended(self, name: str, within_s: float) -> str:
        """Its last phase, as the API server tells it."""
        deadline = time.monotonic() + within_s
        # curl ends by itself: with the pod's next change, or at its bound
        script = 'grep -m1 -oE "\\"phase\\":\\"(Succeeded|Failed)\\"" < <("$@" 2>/dev/null)'
        watch = f"{PODS}?watch=true&fieldSelector=metadata.name=build-{name}"
        while True:
            left_s = max(1.0, deadline - time.monotonic())  # 0 is no bound for curl
            words = ["bash", "-c", script, "-", *cluster.CURL, "--no-buffer", "-m", f"{left_s:.0f}", watch]
            try:
                return self.host.exec(words, timeout_s=left_s + 60).split('"')[3]
            except StepFailed as error:
                said = f"{self._log_so_far(name)}\n{error.cause}"
                assert time.monotonic() < deadline - 1, (
                    f"build-{name} has not ended in {within_s:.0f} s\n{said}"
                )
            time.sleep(self.pause_s)

    def _followed(self, name: str, within_s: float, over: Event) -> str:
        """Its log, of which the answer ends with its container."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                bound = ("-m", f"{within_s:.0f}")
                return messages(
                    self.pods(*bound, of=f"build-{name}/log?follow=true", timeout_s=within_s + 60)
                )
            except StepFailed:
                if over.wait(self.pause_s) or time.monotonic() > deadline:
                    raise

    def log(self, name: str, within_s: float = 20) -> str:
        """What the pod wrote. The kubelet, which is asked for it, may not know yet what the API server says already."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                return messages(self.pods(of=f"build-{name}/log"))
            except StepFailed:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.3)

    def until_said(self, name: str, words: str, within_s: float = 60) -> None:
        deadline = time.monotonic() + within_s
        while words not in (log := self._log_so_far(name)):
            assert time.monotonic() < deadline, f"build-{name} did not say {words!r}\n{log}"
            time.sleep(0.2)

    def _log_so_far(self, name: str) -> str:
        try:
            return self.pods(of=f"build-{name}/log")
        except StepFailed:
            return ""

    def build(self, name: str, within_s: float = 120) -> Ended:
        self.start(name)
        return self.wait(name, within_s)

    def events(self, event: str) -> list[dict[str, Any]]:
        lines = self.exec(f"journalctl --no-pager -o cat -u {layout.DOOR_UNIT}").splitlines()
        said = [json.loads(line) for line in lines if line.startswith("{")]
        return [one for one in said if one["event"] == event]

    def until_told(
        self, event: str, after: int = 0, within_s: float = 30, **fields: str
    ) -> list[dict[str, Any]]:
        """The events of a kind after so many, and with these fields; the door answers first, and then tells."""

        def told() -> list[dict[str, Any]]:
            return [one for one in self.events(event)[after:] if one.items() >= fields.items()]

        return wait_until(told, within_s, f"{event} {fields}")

    def processes(self, words: str) -> str:
        """Processes of build steps with these words; a shell that looks for them is none."""
        return self.exec(f"pgrep -x -a sleep | grep -F '{words}' || true")


def messages(written: str) -> str:
    """A build pod's log as people read it."""
    text = ""
    for line in written.splitlines():
        try:
            text += json.loads(line)["message"]
        except (ValueError, KeyError, TypeError):
            text += line + "\n"
    return text


def tag_of(name: str) -> str:
    return f"{layout.IMAGE_PREFIX}test-2d{name}:{RUN}"


@pytest.fixture(scope="module")
def node(installed_host: Installed) -> Iterator[Node]:
    node = Node(installed_host.host)
    node.repository("fetch", f"ADD {FETCHED} /x")
    # BuildKit takes 45 s to give up, so it starts first and is looked at last; BinderHub's cleaner does not wait.
    node.start("fetch")
    with ThreadPoolExecutor(1) as watching:
        node.fetch = watching.submit(node.wait, "fetch")
        yield node
    node.delete_all()
    ctr = f"{layout.K3S} ctr -n k8s.io images"
    node.exec(f"rm -rf {REPOSITORIES}; {ctr} ls -q | grep /i-test-2d | xargs -r {ctr} rm >/dev/null")


def test_an_image_is_launchable_at_once_and_in_the_registry_soon_after(node: Node) -> None:
    node.repository(
        "first", "COPY --chown=1000 . /home/jovyan/\nRUN date +%N >/home/jovyan/stamp", words="hello"
    )
    ended = node.build("first")
    assert ended.phase == "Succeeded", ended.log
    run = [
        "run",
        "user-first",
        f"--image={tag_of('first')}",
        "--restart=Never",
        "--labels=binderbox-test=builder",
    ]
    node.kubectl(*run, "--image-pull-policy=IfNotPresent", "--command", "--", "cat", "/home/jovyan/words")
    node.kubectl("wait", "pod/user-first", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    assert node.kubectl("logs", "user-first") == "hello"
    pulled = node.kubectl("get", "events", "--field-selector=involvedObject.name=user-first,reason=Pulled")
    assert "already present on machine" in pulled
    pushed = node.until_told("pushed", within_s=60, tag=tag_of("first"))
    assert pushed[0]["repository"] == "https://example.org/first"
    shown = node.exec(f"{layout.K3S} ctr -n k8s.io images ls 'name=={tag_of('first')}'")
    assert "io.cri-containerd.pinned" not in shown, "an image that is pushed is the garbage collector's again"
    path = tag_of("first").removeprefix(f"{layout.REGISTRY}/").rpartition(":")[0]
    manifest = node.exec(
        f"curl -sf -u binderbox:$(cat {layout.SECRETS}/registry-password) -D - -o /dev/null "
        f"-H 'Accept: application/vnd.oci.image.manifest.v1+json' http://{Networks().registry_ip}:5000/v2/{path}/manifests/{RUN}"
    )
    digest = next(
        line.split()[1] for line in manifest.splitlines() if line.startswith("Docker-Content-Digest")
    )
    assert digest in shown


def test_a_build_pod_holds_no_credential_and_sees_no_buildkitd(node: Node) -> None:
    look = "ls -A /run/binderbox/door /root/.docker /var/run/secrets /run/binderbox/buildkit 2>&1; env | grep -i -c CRED"
    node.start("looker", "sh", "-c", look)
    seen = node.wait("looker").log
    assert "door.sock" in seen
    assert "buildkitd.sock" not in seen
    assert seen.count("No such file or directory") == 3
    assert seen.splitlines()[-1] == "0"


def test_the_doors_socket_cannot_be_replaced_from_a_build_pod(node: Node) -> None:
    assert "read_only=True" in build_class(), "this test mounts it as BinderHub's build class does"
    node.start("thief", "sh", "-c", f"rm {layout.DOOR_SOCKET} || touch {layout.DOOR_RUN}/x; true")
    assert node.wait("thief").log.count("Read-only file system") == 2


def test_a_step_beyond_its_memory_ends_and_another_build_does_not_notice(node: Node) -> None:
    node.repository("hungry", "COPY eat.py /tmp/\nRUN python3 /tmp/eat.py", **{"eat.py": EAT})
    node.repository("modest", "RUN sleep 4 && echo still-here && cat /proc/self/cgroup")
    with ThreadPoolExecutor(2) as pool:
        hungry, modest = pool.map(node.build, ("hungry", "modest"))
    assert hungry.phase == "Failed"
    assert "exit code: 137" in hungry.log
    assert modest.phase == "Succeeded", modest.log
    assert "/binderbox.slice/binderbox-builds.slice/bbx-" in modest.log


def test_each_step_has_the_planned_ceiling(node: Node) -> None:
    node.repository("ceiling", "RUN echo looking-at-me; sleep 77")
    node.start("ceiling")
    node.until_said("ceiling", "looking-at-me")
    scope = node.exec("systemctl list-units --plain --no-legend 'bbx-*.scope' | cut -d' ' -f1").split()
    assert len(scope) == 1
    shown = node.exec(f"systemctl show {scope[0]} -p MemoryMax -p TasksMax -p Slice")
    limits = dict(line.split("=", 1) for line in shown.splitlines())
    planned = dict(
        line.split("=", 1) for line in node.exec(f"cat {builder.SCOPE_LIMITS}").splitlines() if "=" in line
    )
    assert abs(int(limits["MemoryMax"]) - int(planned["MemoryMax"])) < 8192  # the kernel counts in pages
    assert limits["TasksMax"] == planned["TasksMax"]
    assert limits["Slice"] == layout.BUILDS_SLICE
    node.delete("build-ceiling")


def test_a_build_step_reaches_the_public_and_nothing_of_ours(node: Node) -> None:
    address = node.host.address
    targets = [("169.254.169.254", 80), ("10.43.0.1", 443), (Networks().registry_ip, 5000), (address, 6443)]
    targets += [(address, 10250), (Networks().pod_gateway, 10250), ("10.44.0.1", 22), ("192.168.0.1", 443)]
    node.repository(
        "network",
        "COPY probe.py /tmp/\nRUN python3 /tmp/probe.py",
        **{"probe.py": PROBE.format(targets=targets)},
    )
    ended = node.build("network")
    assert ended.phase == "Succeeded", ended.log
    assert "REACHED" not in ended.log
    assert ended.log.count(" cut (") == len(targets)


@pytest.mark.parametrize(
    ("name", "dockerfile", "words"),
    [
        ("hostnet", "RUN --network=host id", "network.host is not allowed"),
        ("privileged", "RUN --security=insecure id", "security.insecure is not allowed"),
    ],
)
def test_a_dockerfile_gets_no_privileges(node: Node, name: str, dockerfile: str, words: str) -> None:
    node.repository(name, dockerfile)
    assert words in node.build(name).log


def test_a_strangers_frontend_does_not_run(node: Node) -> None:
    node.write("frontend/Dockerfile", f"# syntax={layout.IMAGE_PREFIX}evil:1\nFROM {images.SAMPLE_BASE}\n")
    assert "line 1 of Dockerfile asks for the frontend" in node.build("frontend").log


def test_a_dockerfile_that_is_a_link_to_the_host_shows_nothing_of_it(node: Node) -> None:
    node.exec(f"mkdir -p {REPOSITORIES}/linked && ln -sf /etc/shadow {REPOSITORIES}/linked/Dockerfile")
    ended = node.build("linked")
    assert ended.phase == "Failed"
    assert "root:" not in ended.log


def test_no_repository_gets_a_file_of_another(node: Node) -> None:
    """BuildKit takes files with the same path, size and time for the same, whoever sent them (door/unpack.py)."""
    for name in ("mine", "your"):
        node.repository(
            name, "COPY data.txt /home/jovyan/\nRUN cat /home/jovyan/data.txt", **{"data.txt": f"from-{name}"}
        )
        node.exec(
            f"touch -d '2020-01-01 00:00:00' {REPOSITORIES}/{name}/data.txt {REPOSITORIES}/{name}/Dockerfile"
        )
        ended = node.build(name)
        assert f" from-{name}" in ended.log, ended.log


def test_the_end_of_a_build_pod_ends_its_build_step(node: Node) -> None:
    node.repository("deleted", "RUN echo under-way; sleep 7321")
    node.start("deleted")
    node.until_said("deleted", "under-way")
    wait_until(lambda: node.processes("sleep 7321"), 15, "the step is under way")
    node.delete("build-deleted")
    wait_until(lambda: not node.processes("sleep 7321"), 15, "the step ends with its pod")
    ended = node.until_told("build-ended", tag=tag_of("deleted"))
    assert [one["fault"] for one in ended] == ["the build pod left"]


@pytest.mark.parametrize(
    ("name", "asked", "own", "pod", "reason"),
    [
        (
            "othertag",
            f"{layout.IMAGE_PREFIX}victim:1",
            f"{layout.IMAGE_PREFIX}test-2dmine:1",
            {},
            "other-tag",
        ),
        ("system", images.PAUSE, images.PAUSE, {}, "system-image"),
        ("userpod", "x:1", "x:1", {"label": "another"}, "not-a-build-pod"),
        ("sidecar", "x:1", "x:1", {"container": "sidecar"}, "not-a-build-pod"),
    ],
)
def test_who_asks_for_more_than_its_own_image_is_refused_and_logged(
    node: Node, name: str, asked: str, own: str, pod: dict[str, str], reason: str
) -> None:
    before = len(node.events("refused"))
    node.start(name, "python3", f"{IN_POD}/knock.py", asked, f"--image={own}", **pod)
    assert "The build door refused" in node.wait(name).log
    refusal = node.until_told("refused", before)[-1]
    assert refusal["reason"] == reason
    if reason != "not-a-build-pod" or "container" in pod:
        assert refusal["repository"] == f"https://example.org/{name}"


def test_a_process_of_the_host_is_refused_and_logged(node: Node) -> None:
    before = len(node.events("refused"))
    answer = node.exec(f"PYTHONPATH={layout.ENGINE} python3 -B {REPOSITORIES}/knock.py x:1")
    assert "belongs to no pod" in answer
    assert node.until_told("refused", before)[-1]["reason"] == "not-a-pod"


def test_a_process_of_the_host_in_a_pods_cgroup_is_refused(node: Node) -> None:
    """By the cgroup alone it would be that pod; on cgroup v2 systemd has made the pod's scope."""
    node.start("host", "sh", "-c", "echo here; sleep 60")
    node.until_said("host", "here")
    pod = json.loads(node.kubectl("get", "pod", "build-host", "-o", "json"))
    container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    before = len(node.events("refused"))
    answer = node.exec(
        f"set -e; found=$(find /sys/fs/cgroup -path '*{container}*' -name cgroup.procs); [ -n \"$found\" ]; "
        "for one in $found; do echo $$ > $one || true; done; grep -q "
        f"{container} /proc/self/cgroup; PYTHONPATH={layout.ENGINE} python3 -B {REPOSITORIES}/knock.py x:1"
    )
    assert "a process of the host" in answer
    assert node.until_told("refused", before)[-1]["reason"] == "not-a-pod"


def test_a_pod_that_was_there_before_the_door_was_restarted_still_gets_in(node: Node) -> None:
    wait = f"while [ ! -e {IN_POD}/restarted ]; do sleep 0.1; done; python3 {IN_POD}/knock.py x:1"
    node.start("patient", "sh", "-c", f"echo waiting; {wait}")
    node.until_said("patient", "waiting")
    node.exec(f"systemctl restart {layout.DOOR_UNIT} && touch {REPOSITORIES}/restarted")
    assert "The build door refused" in node.wait("patient").log, (
        "refused for its lack of --image, by the new door"
    )


def test_buildkit_fetches_nothing_of_ours_for_a_dockerfile(node: Node) -> None:
    """`ADD URL` is carried out by buildkitd itself, on the host's network, where the builds' bridge does not count."""
    answer = node.exec("curl -s -o /dev/null -m 5 -w '%{http_code}' " + FETCHED)
    assert answer == "401", "the host itself reaches it"
    assert node.fetch is not None
    ended = node.fetch.result()
    assert ended.phase == "Failed"
    assert "i/o timeout" in ended.log or "operation not permitted" in ended.log, ended.log
