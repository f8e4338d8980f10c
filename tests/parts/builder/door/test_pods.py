from __future__ import annotations

import copy
import http.server
import json
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from binderbox.parts.builder.door import pods
from binderbox.parts.builder.door.cgroup import PodProcess
from binderbox.parts.builder.door.pods import ApiPods, check_tag, image_argument, judge_pod
from binderbox.parts.builder.door.refusal import Refused
from binderbox.parts.builder.engine import wire
from binderbox.parts.builder.engine.client import ANSWER_WITHIN_S

from .conftest import CONTAINER, POD, TAG, UID, make_config

PREFIX = "registry.binderbox.svc:5000/i-"
RESERVED = ("registry.binderbox.svc:5000/i-pause:3.10",)


def _judge(pod: dict[str, Any] | None, container: str = CONTAINER) -> pods.Permit:
    return judge_pod(pod, PodProcess(UID, container), "binderhub", PREFIX, RESERVED)


def _changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    pod = copy.deepcopy(POD)
    change(pod)
    return pod


def test_a_build_pod_may_build_the_image_of_its_own_command() -> None:
    permit = _judge(POD)
    assert (permit.tag, permit.repository) == (TAG, "https://example.org/demo.git")


def test_a_pod_whose_container_is_not_reported_yet_is_believed() -> None:
    pod = _changed(lambda p: p["status"].update(phase="Pending", containerStatuses=[]))
    assert _judge(pod).tag == TAG


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("not-a-build-pod", lambda p: p["metadata"]["labels"].update(component="singleuser-server")),
        ("not-a-build-pod", lambda p: p["metadata"].pop("labels")),
        ("not-a-build-pod", lambda p: p["metadata"].update(namespace="default")),
        ("not-a-build-pod", lambda p: p["metadata"].update(uid=UID.replace("3", "4"))),
        ("not-a-build-pod", lambda p: p["spec"]["containers"][0].update(name="other")),
        ("pod-ended", lambda p: p["status"].update(phase="Succeeded")),
        ("pod-ended", lambda p: p["metadata"].update(deletionTimestamp="2026-11-21T22:00:00Z")),
        ("no-image", lambda p: p["spec"]["containers"][0].update(args=["jupyter-repo2docker"])),
        ("no-image", lambda p: p["spec"]["containers"][0]["args"].append(f"--image={TAG}")),
        (
            "foreign-tag",
            lambda p: p["spec"]["containers"][0].update(args=["--image=docker.io/library/traefik:v3"]),
        ),
        ("system-image", lambda p: p["spec"]["containers"][0].update(args=[f"--image={RESERVED[0]}"])),
    ],
)
def test_what_is_not_a_build_pod_of_ours_may_build_nothing(
    reason: str, change: Callable[[dict[str, Any]], Any]
) -> None:
    with pytest.raises(Refused) as refused:
        _judge(_changed(change))
    assert refused.value.reason == reason


def test_a_pod_unknown_to_the_api_server_may_build_nothing() -> None:
    with pytest.raises(Refused, match="not a build pod of namespace binderhub"):
        _judge(None)


def test_another_container_of_the_pod_may_build_nothing() -> None:
    with pytest.raises(Refused) as refused:
        _judge(POD, container="0" * 64)
    assert refused.value.reason == "other-container"


def test_the_image_may_be_the_word_after_its_option() -> None:
    assert image_argument(["jupyter-repo2docker", "--image", TAG, "--push"]) == TAG


@pytest.mark.parametrize(
    "tag",
    [
        f"{PREFIX}x",
        f"{PREFIX}x:",
        f"{PREFIX}:x",
        f"{PREFIX}x:a,push=true",
        f"{PREFIX}x,name=docker.io/library/traefik:v3",
        f'{PREFIX}x:"a"',
        f"{PREFIX}x:a b",
        f"{PREFIX}x:a\nb",
        f"{PREFIX}x:a=b",
        f"{PREFIX}x@sha256:{'0' * 64}",
        f"{PREFIX}X:a",
        f"{PREFIX}x/../y:a",
        f"{PREFIX}x//y:a",
        f"{PREFIX}x:-a",
        f"{PREFIX}\N{CYRILLIC SMALL LETTER A}:a",
        f"{PREFIX}x:{'a' * 129}",
        f"{PREFIX}{'x' * 400}:a",
    ],
)
def test_a_tag_of_other_letters_than_a_reference_has_is_refused(tag: str) -> None:
    with pytest.raises(Refused) as refused:
        check_tag(tag, PREFIX, RESERVED)
    assert refused.value.reason == "bad-tag"


def test_a_name_of_a_system_image_is_refused_with_any_label() -> None:
    with pytest.raises(Refused) as refused:
        check_tag("registry.binderbox.svc:5000/i-pause:4", PREFIX, RESERVED)
    assert refused.value.reason == "system-image"


@pytest.fixture
def api(state: Path) -> Iterator[tuple[ApiPods, list[str], list[int]]]:
    """An API server that answers with the recorded pod; yields what was asked, and answers with given codes first."""
    asked: list[str] = []
    codes: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers['Authorization']}")
            self.send_response(codes.pop(0) if codes else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"kind": "PodList", "items": [POD]}).encode())

        def log_message(self, *words: object) -> None:
            pass

    key, certificate = state / "key.pem", state / "ca.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    (state / "token").write_text("t0ken\n")
    config = replace(
        make_config(state),
        api_server=f"https://127.0.0.1:{server.server_port}",
        api_ca_file=str(certificate),
        api_token_file=str(state / "token"),
    )
    yield ApiPods(config), asked, codes
    server.shutdown()
    server.server_close()


def test_the_api_server_is_asked_for_build_pods_of_one_namespace(
    api: tuple[ApiPods, list[str], list[int]],
) -> None:
    lookup, asked, _ = api
    assert lookup.find(UID) == POD
    assert lookup.find("another") is None
    assert (
        asked[0] == "/api/v1/namespaces/binderhub/pods?labelSelector=component%3Dbinderhub-build Bearer t0ken"
    )


class Clock:
    """Time that passes while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(pods, "time", made)
    return made


def test_a_restart_of_the_api_server_is_waited_for_as_long_as_the_engine_waits(
    api: tuple[ApiPods, list[str], list[int]], clock: Clock
) -> None:
    lookup, asked, codes = api
    codes.extend([503] * 90)
    assert lookup.find(UID) == POD
    assert len(asked) == 91
    assert clock.now < ANSWER_WITHIN_S


def test_an_api_server_that_stays_away_is_said_before_the_engine_gives_up(state: Path, clock: Clock) -> None:
    (state / "token").write_text("t0ken")
    with pytest.raises(Refused, match="did not tell"):
        ApiPods(replace(make_config(state), api_token_file=str(state / "token"))).find(UID)
    assert 90 < clock.now < ANSWER_WITHIN_S - pods.ASK_WITHIN_S


def test_a_pod_that_leaves_is_not_looked_for_any_longer(state: Path, clock: Clock) -> None:
    def left() -> None:
        raise wire.Closed("the build pod left")

    with pytest.raises(wire.Closed):
        ApiPods(make_config(state)).find(UID, left)
    assert clock.now < 2
