"""Images are pulled by their digest into a real containerd, from registries that do wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from binderbox import layout
from binderbox.artifacts.sources import exact_name
from binderbox.artifacts.versions import Pin
from binderbox.deploys.facts import artifacts as facts
from binderbox.deploys.facts.artifacts import PulledImages
from binderbox.parts.fetch import login, pulling
from binderbox.parts.fetch.fetching import FetchFailed
from tests.places import ROOT
from tests.rig.internet.faults import Fault
from tests.rig.internet.machine import Machine
from tests.rig.internet.registries import DOCKER, DOCKER_AUTH, DOCKER_BLOBS
from tests.rig.internet.world import World
from tests.waiting import wait_until

from .containerd import Containerd

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
ADDRESS = "127.0.113.7"
SLACK = 8_000_000
PULL = """
import sys
from binderbox import layout
from binderbox.parts.fetch import pulling
layout.FETCH_RUN, exact, name, *pulling.CTR = sys.argv[1:]
pulling.pull(exact, name)
"""


@dataclass(frozen=True)
class Image:
    """The rig's registry, as a small image: one layer."""

    name: str
    digest: str
    exact: str


@pytest.fixture
def image(pins: dict[str, Pin]) -> Image:
    pin = pins["registry"]
    return Image(pin.source, f"sha256:{pin.sha256}", exact_name(pin.source, str(pin.sha256)))


@pytest.fixture
def containerd(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Containerd]:
    with Containerd(machine, tmp_path) as running:
        made_known(running, tmp_path, monkeypatch)
        yield running


def made_known(running: Containerd, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the product, which knows the one of k3s."""
    for module in (pulling, facts):
        monkeypatch.setattr(module, "CTR", running.ctr)
    monkeypatch.setattr(layout, "CONTAINERD_SOCKET", str(running.socket))
    monkeypatch.setattr(layout, "FETCH_RUN", str(directory / "fetch"))
    monkeypatch.setattr(pulling, "PAUSE_S", 0.05)


def found(image: Image) -> set[tuple[str, str]]:
    """What the install's own look says is there."""
    fact = PulledImages()
    wanted = [(image.exact, image.name), (image.exact, image.exact)]
    command = str(fact.command(wanted=wanted))
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    return fact.process(done.stdout.splitlines())


def blobs(internet: World) -> int:
    return sum(one.sent for one in internet.requests if one.host == DOCKER_BLOBS)


def test_it_is_here_whole_pinned_and_under_both_names(
    internet: World, containerd: Containerd, image: Image
) -> None:
    assert found(image) == set()
    pulling.pull(image.exact, image.name)
    assert found(image) == {(image.exact, image.name), (image.exact, image.exact)}
    assert not any(one.path.endswith("/3.1.1") for one in internet.requests), "no tag is asked for"
    assert not internet.leaked
    internet.requests.clear()
    pulling.pull(image.exact, image.name)
    assert not internet.requests


def test_a_name_that_was_another_image_is_moved(
    internet: World, containerd: Containerd, image: Image, pins: dict[str, Pin]
) -> None:
    other = pins["objectstore"]
    theirs = exact_name(other.source, str(other.sha256))
    pulling.pull(theirs, image.name)
    assert pulling.digest_of(image.name) == f"sha256:{other.sha256}"
    pulling.pull(image.exact, image.name)
    assert pulling.digest_of(image.name) == image.digest
    assert found(image) == {(image.exact, image.name), (image.exact, image.exact)}


def test_a_pin_that_was_taken_away_is_put_back(internet: World, containerd: Containerd, image: Image) -> None:
    pulling.pull(image.exact, image.name)
    internet.requests.clear()
    containerd.ask("images", "label", image.name, "io.cri-containerd.pinned=")
    assert found(image) == {(image.exact, image.exact)}
    pulling.pull(image.exact, image.name)
    assert found(image) == {(image.exact, image.name), (image.exact, image.exact)}
    assert not internet.requests


@pytest.mark.parametrize("what", ["layer", "config", "snapshot"])
def test_content_that_was_lost_is_pulled_again(
    internet: World, containerd: Containerd, image: Image, what: str
) -> None:
    """As a power cut may leave it: the name is there, and not all that it stands for."""
    pulling.pull(image.exact, image.name)
    if what == "snapshot":
        (snapshot,) = [line.split()[0] for line in containerd.ask("snapshots", "list").splitlines()[1:]]
        containerd.ask("snapshots", "rm", snapshot)
    else:
        sizes = {line.split()[0]: line for line in containerd.ask("content", "list").splitlines()[1:]}
        others = [line for digest, line in sizes.items() if digest != image.digest]
        lost = next(line for line in others if ("uncompressed" in line) == (what == "layer"))
        containerd.ask("content", "rm", lost.split()[0])
    assert found(image) == set()
    pulling.pull(image.exact, image.name)
    assert found(image) == {(image.exact, image.name), (image.exact, image.exact)}


@pytest.mark.parametrize(
    ("host", "path"), [(DOCKER, "/manifests/"), (DOCKER_BLOBS, ""), ("auth.docker.io", "")]
)
def test_503_twice_and_then_well(
    internet: World, containerd: Containerd, image: Image, host: str, path: str
) -> None:
    internet.faults.add(host, path, Fault(status=503), times=2)
    pulling.pull(image.exact, image.name)
    assert (image.exact, image.name) in found(image)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.99])
def test_a_cut_layer_goes_on_where_it_was(
    internet: World, containerd: Containerd, image: Image, fraction: float
) -> None:
    internet.faults.add(DOCKER_BLOBS, "", Fault(cut=fraction), times=2)
    pulling.pull(image.exact, image.name)
    assert (image.exact, image.name) in found(image)
    assert blobs(internet) < 18_000_000


def test_another_manifest_is_refused(internet: World, containerd: Containerd, image: Image) -> None:
    internet.faults.add(DOCKER, "/manifests/", Fault(body=lambda right: right + b" "), times=None)
    with pytest.raises(FetchFailed) as caught:
        pulling.pull(image.exact, image.name)
    assert str(caught.value).startswith(f"ctr images pull {image.exact}: ctr: ")
    assert found(image) == set()


def test_another_layer_is_refused(internet: World, containerd: Containerd, image: Image) -> None:
    internet.faults.add(DOCKER_BLOBS, "", Fault(body=lambda right: right[:-1] + b"x"), times=None)
    with pytest.raises(FetchFailed, match=r"ctr images pull .*: ctr: "):
        pulling.pull(image.exact, image.name)
    assert found(image) == set()
    internet.faults.clear()
    pulling.pull(image.exact, image.name)
    assert (image.exact, image.name) in found(image)


def test_a_registry_that_gives_no_more_says_so_at_once_with_the_ways_out(
    internet: World, containerd: Containerd, image: Image, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "WORDS", machine.words(*login.WORDS))
    words = (
        "You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit"
    )
    said = json.dumps({"errors": [{"code": "TOOMANYREQUESTS", "message": words}]}).encode()
    limit = Fault(
        status=429, body=said, headers={"ratelimit-limit": "100;w=21600", "Content-Type": "application/json"}
    )
    internet.faults.add(DOCKER, "/manifests/", limit, times=None)
    with pytest.raises(
        FetchFailed,
        match=r"429 Too Many Requests.*\(the limit: 100 pulls in 6 h for this address\); wait, name a mirror of it in the config.*docker-io-login",
    ):
        pulling.pull(image.exact, image.name)
    asked = [one for one in internet.requests if "/manifests/" in one.path and one.host == DOCKER]
    assert len(asked) <= 6  # containerd's own tries, and one question for the limit
    assert asked[-1].method == "HEAD"


@pytest.fixture
def account(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The operator's account at docker.io, with a password that is hard to write down."""
    secret = tmp_path / "docker-io-login"
    secret.write_text('some"body:pass\\word: x\n')
    monkeypatch.setattr(login, "SECRET", str(secret))
    monkeypatch.setattr(login, "WORDS", machine.words(*login.WORDS))
    return secret


def test_an_account_is_shown_to_the_token_server_alone(
    internet: World, containerd: Containerd, image: Image, account: Path
) -> None:
    pulling.pull(image.exact, image.name)
    assert (image.exact, image.name) in found(image)
    tokens = [one for one in internet.requests if one.host == DOCKER_AUTH]
    assert [one.authorized for one in tokens] == [True]
    assert all(one.authorized for one in internet.requests if one.host == DOCKER)
    assert internet.leaked == []
    assert list(Path(layout.FETCH_RUN).glob("binderbox-hosts-*")) == []


def test_a_token_that_would_be_another_setting_is_refused(
    internet: World, containerd: Containerd, image: Image, account: Path
) -> None:
    bad = json.dumps({"token": 'x"\nY = "z'}).encode()
    internet.faults.add(DOCKER_AUTH, "", Fault(status=200, body=bad), times=None)
    with pytest.raises(FetchFailed, match="what it gave is no token"):
        pulling.pull(image.exact, image.name)


def test_an_account_that_is_refused_is_told_with_its_secrets_name(
    internet: World, containerd: Containerd, image: Image, account: Path
) -> None:
    internet.faults.add(DOCKER_AUTH, "", Fault(status=401), times=None)
    with pytest.raises(FetchFailed, match=r"401; see the secret docker-io-login") as error:
        pulling.pull(image.exact, image.name)
    assert "word" not in str(error.value)


def test_mirrors_get_no_token(machine: Machine, account: Path, tmp_path: Path) -> None:
    known = tmp_path / "certs.d"
    (known / "docker.io").mkdir(parents=True)
    (known / "docker.io" / "hosts.toml").write_text(
        'server = "https://registry-1.docker.io/v2"\n[host."https://mirror.example.edu/v2"]\ncapabilities = ["pull"]\n'
    )
    os.makedirs(layout.FETCH_RUN, exist_ok=True)
    with login.hosts("docker.io/library/registry@sha256:1", str(known)) as directory:
        made = tomllib.loads(Path(directory, "docker.io", "hosts.toml").read_text())
    assert made["header"]["Authorization"].startswith("Bearer ")
    assert made["host"]["https://mirror.example.edu/v2"] == {"capabilities": ["pull"]}
    with login.hosts("quay.io/jupyterhub/k8s-hub@sha256:1", str(known)) as directory:
        assert directory == str(known)


def test_one_that_is_gone_ends_with_its_reason(internet: World, containerd: Containerd, image: Image) -> None:
    internet.faults.add(DOCKER, "/manifests/", Fault(status=404), times=None)
    with pytest.raises(FetchFailed, match=r": ctr: .*not found"):
        pulling.pull(image.exact, image.name)


def test_no_containerd_is_told(containerd: Containerd, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "CTR", ("false",))
    with pytest.raises(FetchFailed, match="ctr images"):
        pulling.pull(image.exact, image.name)


@pytest.mark.parametrize("all_of_it", [False, True], ids=["the program alone", "with its ctr"])
def test_one_that_was_killed_goes_on(
    internet: World, containerd: Containerd, image: Image, tmp_path: Path, all_of_it: bool
) -> None:
    internet.rate_bytes_s = 5_000_000
    words = [sys.executable, "-c", PULL, layout.FETCH_RUN, image.exact, image.name, *containerd.ctr]
    killed = subprocess.Popen(words, env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True)
    wait_until(lambda: blobs(internet) > 5_000_000, 30, "some of it")
    os.killpg(killed.pid, signal.SIGKILL) if all_of_it else killed.kill()
    killed.wait()
    pulling.pull(image.exact, image.name)
    assert (image.exact, image.name) in found(image)
    assert blobs(internet) < 18_000_000 + SLACK


def test_a_full_disk_is_told_at_once(
    internet: World, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    machine = Machine(internet, ADDRESS, tmp_path, before=f"mount -t tmpfs -o size=8m tmpfs {root}")
    with Containerd(machine, tmp_path) as running:
        made_known(running, tmp_path, monkeypatch)
        with pytest.raises(FetchFailed, match=r"no space left on device.*: more needed, .* free$"):
            pulling.pull(image.exact, image.name)
    assert len([one for one in internet.requests if "/blobs/" in one.path and one.host == DOCKER]) <= 2
