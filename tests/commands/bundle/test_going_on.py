"""A bundle that was interrupted, cut or refused: the same command goes on, and nothing is fetched twice without need."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from binderbox.artifacts.resolve import LOCK_NAME
from tests.commands.bundle.scene import SOME, Scene
from tests.rig.internet.faults import Fault
from tests.rig.internet.front import Request
from tests.rig.internet.registries import DOCKER_BLOBS
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
HELM = "get.helm.sh"
LAYER_BYTES = 1_000_000  # larger than any config


def answers(scene: Scene, host: str, ending: str = "") -> list[Request]:
    return [one for one in scene.internet.requests if one.host == host and one.path.endswith(ending)]


def part_bytes(scene: Scene, pattern: str) -> int:
    return max((path.stat().st_size for path in scene.directory.glob(f".filling/{pattern}")), default=0)


@pytest.mark.parametrize(
    ("only", "pattern", "host"), [("helm", "files/*.part", HELM), ("registry", "blobs/*.part", DOCKER_BLOBS)]
)
def test_killed_in_the_middle_the_same_command_goes_on(
    scene: Scene, only: str, pattern: str, host: str
) -> None:
    scene.ask_for([only], pinned=True)
    scene.internet.rate_bytes_s = 4_000_000
    process = scene.start()
    try:
        wait_until(lambda: part_bytes(scene, pattern) > 2 * LAYER_BYTES, 60, "some megabytes")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    here = part_bytes(scene, pattern)
    assert not (scene.directory / LOCK_NAME).exists()
    scene.internet.rate_bytes_s = None
    before = len(scene.internet.requests)
    assert scene.create()["changed"]
    (rest,) = [one for one in scene.internet.requests[before:] if one.host == host and one.sent > LAYER_BYTES]
    assert (rest.range, rest.status) == (f"bytes={here}-", 206)
    scene.verify()


def test_connections_that_are_cut_are_taken_up_again(scene: Scene) -> None:
    scene.ask_for(SOME, pinned=True)
    for host in (HELM, DOCKER_BLOBS):
        scene.internet.faults.add(host, r"(\.gz|/data)$", Fault(cut=0.5), times=2)
    scene.internet.faults.add(DOCKER_BLOBS, "/data$", Fault(status=503), times=1)
    scene.create()
    scene.verify()
    assert [one.status for one in answers(scene, HELM, ".gz")] == [200, 206, 206]
    whole = sum(one.sent for one in answers(scene, HELM, ".gz"))
    assert whole == next(
        (scene.directory / one["file"]).stat().st_size for one in scene.lock() if one["name"] == "helm"
    )


def test_a_token_that_has_ended_is_asked_for_anew(scene: Scene) -> None:
    scene.ask_for(["registry"], pinned=True)
    scene.internet.faults.add("registry-1.docker.io", "/blobs/", Fault(status=401), times=1)
    scene.create()
    assert len(answers(scene, "auth.docker.io", "/token")) > 1


def test_a_blob_with_wrong_bytes_is_never_used(scene: Scene) -> None:
    scene.ask_for(SOME, pinned=True)
    wrong = Fault(body=lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    scene.internet.faults.add(DOCKER_BLOBS, "", wrong, times=None)
    refused = scene.create(code=4)["error"]
    assert "expected sha256" in refused["message"]
    assert "it was not used" in refused["message"]
    assert not (scene.directory / LOCK_NAME).exists()
    assert not (scene.directory / "registry.tar").exists()
    scene.internet.faults.clear()
    before = len(answers(scene, HELM))
    assert scene.create()["changed"]
    assert len(answers(scene, HELM)) == before


def test_a_registry_that_has_another_manifest_is_refused(scene: Scene) -> None:
    scene.ask_for(["registry"], pinned=True)
    body = json.dumps({"schemaVersion": 2, "config": {}, "layers": []}).encode()
    scene.internet.faults.add("registry-1.docker.io", "/manifests/", Fault(body=body), times=None)
    message = scene.create(code=4)["error"]["message"]
    assert f"expected the manifest sha256:{scene.pins['registry'].sha256}, found sha256:" in message


def test_what_a_whole_bundle_lost_is_fetched_anew_and_nothing_else(scene: Scene) -> None:
    scene.ask_for(SOME, pinned=True)
    made = scene.create()
    helm = next(scene.directory / one["file"] for one in made["files"] if one["name"] == "helm")
    helm.write_bytes(b"wrong" + helm.read_bytes())
    before = len(scene.internet.requests)
    assert scene.create()["lock_sha256"] == made["lock_sha256"]
    assert {one.host for one in scene.internet.requests[before:]} == {HELM}


def test_a_directory_that_is_filled_for_something_else_is_refused(scene: Scene) -> None:
    scene.ask_for(["helm"], pinned=True)
    scene.internet.faults.add(HELM, "gz$", Fault(status=404), times=None)
    scene.create(code=4)
    version = scene.pins["helm"].version
    scene.ask_for(["helm"], pinned=True, helm={"version": "v0"})
    half = scene.create(code=2)["error"]
    assert f"helm: it is being filled for {version} of " in half["cause"]
    scene.ask_for(["helm"], pinned=True)
    assert "architecture" in scene.create("--arch", "arm64", code=2)["error"]["cause"]
    scene.internet.faults.clear()
    scene.create()
    scene.ask_for(["helm", "registry"], pinned=True, helm={"version": "v0"})
    cause = scene.create(code=2)["error"]["cause"].splitlines()
    assert cause[0].startswith(f"helm: it has {version} of ")
    assert cause[1] == "registry: is not in it"


@pytest.mark.parametrize("begun", [False, True])
def test_files_that_are_no_part_of_it_are_refused_and_stay(scene: Scene, begun: bool) -> None:
    scene.ask_for(["helm"], pinned=True)
    if begun:
        scene.create()
        (scene.directory / LOCK_NAME).rename(scene.home / LOCK_NAME)
    mine = scene.directory / ("thesis.odt" if begun else "k3s")
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    assert mine.name in scene.create(code=2)["error"]["message"]
    assert mine.read_text() == "mine"


def test_what_was_left_of_the_way_there_is_removed(scene: Scene) -> None:
    scene.ask_for(["helm"], pinned=True)
    scene.create()
    (scene.directory / ".filling/blobs").mkdir(parents=True)
    assert not scene.create()["changed"]
    assert not (scene.directory / ".filling").exists()


def test_a_second_run_does_not_come_between(scene: Scene, tmp_path: Path) -> None:
    scene.ask_for(["helm"], pinned=True)
    scene.internet.rate_bytes_s = 2_000_000
    with scene.start() as first:
        wait_until(lambda: part_bytes(scene, "files/*.part") > 0, 60, "a first byte")
        assert "is being filled by another run" in scene.create(code=2)["error"]["message"]
        scene.internet.rate_bytes_s = None
        first.communicate()
    assert first.returncode == 0
