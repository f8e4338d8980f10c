"""A file is fetched from an Internet that does wrong: resumed, retried within bounds, and never used with another sum."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from binderbox.artifacts.versions import Pin
from binderbox.parts.fetch import fetching
from binderbox.parts.fetch.fetching import FetchFailed
from tests.places import ROOT
from tests.rig.internet import bodies
from tests.rig.internet.cutting import CuttingProxy
from tests.rig.internet.faults import Fault
from tests.rig.internet.machine import Machine
from tests.rig.internet.releases import ASSETS, HELM
from tests.rig.internet.world import ELSEWHERE, World
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
ADDRESS = "127.0.113.5"
PROGRAM = (sys.executable, "-m", "binderbox.parts.fetch", "file")
HERE = {"PYTHONPATH": str(ROOT)}
STALLED_S = fetching.STALLED_S
SLACK = 8_000_000  # what lies in the buffers of a connection that is broken on the client's side
Fetch = Callable[..., Path]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PAUSE_S", 0.05)
    monkeypatch.setattr(fetching, "STALLED_S", 2)
    monkeypatch.setattr(fetching, "TRIES", 3)


@pytest.fixture
def helm(pins: dict[str, Pin]) -> Pin:
    return pins["helm"]


@pytest.fixture
def fetch(machine: Machine, tmp_path: Path) -> Fetch:
    """Have a pin's file, in this process."""
    known = ("--resolve", f"*:443:{ADDRESS}", "--resolve", f"*:80:{ADDRESS}", "--cacert", str(machine.ca))

    def fetched(pin: Pin, sha256: str | None = None) -> Path:
        path = tmp_path / "file"
        fetching.fetch(pin.source, sha256 or str(pin.sha256), str(path), options=known)
        return path

    return fetched


def part(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "file.part"
    path.write_bytes(content)
    return path


def sent(internet: World, host: str = HELM) -> int:
    return sum(one.sent for one in internet.requests if one.host == host)


def left(directory: Path) -> list[str]:
    return sorted(one.name for one in directory.iterdir())


def wrong(fetch: Fetch, *arguments: object) -> str:
    with pytest.raises(FetchFailed) as caught:
        fetch(*arguments)
    return str(caught.value)


def test_what_is_here_is_not_asked_for_again(internet: World, fetch: Fetch, helm: Pin) -> None:
    path = fetch(helm)
    assert sent(internet) == path.stat().st_size
    assert left(path.parent) == ["file", "file.lock", "file.ok"]
    fetch(helm)
    assert len(internet.requests) == 1
    path.write_bytes(b"changed")
    fetch(helm)
    assert len(internet.requests) == 2


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.99])
def test_a_cut_connection_goes_on_and_no_byte_comes_twice(
    internet: World, fetch: Fetch, helm: Pin, fraction: float
) -> None:
    internet.faults.add(HELM, "", Fault(cut=fraction), times=2)
    path = fetch(helm)
    assert [one.status for one in internet.requests] == [200, 206, 206]
    assert sent(internet) == path.stat().st_size


def test_behind_a_redirect_too(internet: World, fetch: Fetch, pins: dict[str, Pin]) -> None:
    internet.faults.add(ASSETS, "", Fault(cut=0.5))
    path = fetch(pins["k3s-images"])
    assert sent(internet, ASSETS) == path.stat().st_size
    assert not internet.leaked


def test_one_that_is_always_cut_ends_clearly_and_the_next_goes_on(
    internet: World, fetch: Fetch, helm: Pin, tmp_path: Path
) -> None:
    internet.faults.add(HELM, "", Fault(cut=0.0001), times=None)
    text = wrong(fetch, helm)
    here = (tmp_path / "file.part").stat().st_size
    assert text.startswith(helm.source)
    assert f"{here} bytes are here, the same command goes on from there" in text
    assert len(internet.requests) == fetching.TRIES
    internet.faults.clear()
    path = fetch(helm)
    assert sent(internet) == path.stat().st_size


def test_through_a_proxy_that_cuts_each_connection_it_goes_on(
    fetch: Fetch, helm: Pin, machine: Machine, tmp_path: Path
) -> None:
    size = fetch(helm).stat().st_size
    (tmp_path / "file").unlink()
    with CuttingProxy((ADDRESS, 443), life_bytes=size // 4) as proxy:
        path, options = tmp_path / "file", ("--proxy", proxy.url, "--cacert", str(machine.ca))
        fetching.fetch(helm.source, str(helm.sha256), str(path), options=options)
        assert 4 <= proxy.tunnels <= 8
    assert path.stat().st_size == size


@pytest.mark.parametrize(
    "fault",
    [Fault(stall=0.5), Fault(silent=True), Fault(rate_bytes_s=1000)],
    ids=["stalled", "silent", "slow"],
)
def test_silence_and_1_kb_per_second_are_given_up_and_tried_again(
    internet: World, fetch: Fetch, helm: Pin, fault: Fault
) -> None:
    internet.faults.add(HELM, "", fault, times=1)
    path = fetch(helm)
    assert 0 <= sent(internet) - path.stat().st_size < 100_000
    assert len(internet.requests) == 2


@pytest.mark.parametrize(
    "fault", [Fault(stall=0), Fault(silent=True), Fault(rate_bytes_s=1000)], ids=["stalled", "silent", "slow"]
)
def test_a_server_that_stays_so_is_given_up(
    internet: World, fetch: Fetch, helm: Pin, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(fetching, "TRIES", 2)
    internet.faults.add(HELM, "", fault, times=None)
    started = time.monotonic()
    text = wrong(fetch, helm)
    assert "Operation too slow" in text
    assert "the same command goes on" in text
    assert len(internet.requests) == 2
    assert time.monotonic() - started < 30


def test_the_real_bound_of_silence_is_within_a_minute() -> None:
    assert max(fetching.CONNECT_S, STALLED_S) < 60


def test_503_twice_and_then_well(internet: World, fetch: Fetch, helm: Pin) -> None:
    internet.faults.add(HELM, "", Fault(status=503), times=2)
    path = fetch(helm)
    assert [one.status for one in internet.requests] == [503, 503, 200]
    assert path.stat().st_size == internet.requests[-1].sent


def test_503_in_the_middle_leaves_what_is_here(internet: World, fetch: Fetch, helm: Pin) -> None:
    internet.faults.add(HELM, "", Fault(cut=0.5))
    internet.faults.add(HELM, "", Fault(status=503))
    path = fetch(helm)
    assert [one.status for one in internet.requests] == [200, 503, 206]
    assert sent(internet) == path.stat().st_size + len(b"not now\n")


def test_503_for_ever_ends_clearly(internet: World, fetch: Fetch, helm: Pin, tmp_path: Path) -> None:
    internet.faults.add(HELM, "", Fault(status=503), times=None)
    assert "503; 0 bytes are here" in wrong(fetch, helm)
    assert len(internet.requests) == fetching.TRIES
    assert "file" not in left(tmp_path)


def test_retry_after_is_honoured(internet: World, fetch: Fetch, helm: Pin) -> None:
    internet.faults.add(HELM, "", Fault(status=429, headers={"Retry-After": "2"}))
    fetch(helm)
    first, second = internet.requests
    assert 2 <= second.at_s - first.at_s < 10


def test_who_asks_for_an_hour_is_told_of_at_once(internet: World, fetch: Fetch, helm: Pin) -> None:
    internet.faults.add(HELM, "", Fault(status=429, headers={"Retry-After": "3600"}))
    assert "its server asks to be left alone for 3600 s" in wrong(fetch, helm)
    assert len(internet.requests) == 1


def test_a_file_that_is_gone_is_told_of_at_once(internet: World, fetch: Fetch, helm: Pin) -> None:
    internet.faults.add(HELM, "", Fault(status=404), times=None)
    assert wrong(fetch, helm) == f"{helm.source}: curl: (22) The requested URL returned error: 404"
    assert len(internet.requests) == 1


def test_a_redirect_to_http_is_refused(internet: World, fetch: Fetch, helm: Pin, tmp_path: Path) -> None:
    internet.faults.add(HELM, "", Fault(redirect="http://{host}{target}"))
    assert "http" in wrong(fetch, helm)
    assert {one.scheme for one in internet.requests} == {"https"}
    assert "file" not in left(tmp_path)


def test_a_redirect_to_another_host_is_followed_and_its_sum_counts(
    internet: World, fetch: Fetch, helm: Pin
) -> None:
    internet.faults.add(HELM, "", Fault(redirect=f"https://{ELSEWHERE}{{target}}"))
    fetch(helm)
    assert sent(internet, ELSEWHERE) > 0


@pytest.mark.parametrize("body", [bodies.HTML, bodies.EMPTY, bodies.TEN_MB], ids=["html", "empty", "10 MB"])
def test_other_bytes_are_refused_and_removed(
    internet: World, fetch: Fetch, helm: Pin, tmp_path: Path, body: bytes
) -> None:
    internet.faults.add(HELM, "", Fault(body=body), times=None)
    text = wrong(fetch, helm)
    assert text.startswith(f"{helm.source}: expected sha256 {helm.sha256}, found ")
    assert left(tmp_path) == ["file.lock"]
    assert len(internet.requests) == 1


def test_another_sum_is_wanted(fetch: Fetch, helm: Pin, tmp_path: Path) -> None:
    text = wrong(fetch, helm, "0" * 64)
    assert f"expected sha256 {'0' * 64}, found {helm.sha256}; it was not used" in text
    assert left(tmp_path) == ["file.lock"]


@pytest.mark.parametrize("size", [1_000_000, 19_354_688, 30_000_000], ids=["shorter", "as long", "longer"])
def test_a_part_of_another_file_costs_one_more_download(
    internet: World, fetch: Fetch, helm: Pin, tmp_path: Path, size: int
) -> None:
    part(tmp_path, os.urandom(size))
    path = fetch(helm)
    whole = path.stat().st_size
    assert sent(internet) <= 2 * whole
    assert left(tmp_path) == ["file", "file.lock", "file.ok"]


def test_a_part_that_is_whole_is_asked_of_nobody(
    internet: World, fetch: Fetch, helm: Pin, tmp_path: Path
) -> None:
    content = fetch(helm).read_bytes()
    internet.requests.clear()
    for name in ("file", "file.ok"):
        (tmp_path / name).unlink()
    part(tmp_path, content)
    assert fetch(helm).read_bytes() == content
    assert not internet.requests


def test_a_server_without_ranges_sends_it_anew(internet: World, fetch: Fetch, helm: Pin) -> None:
    internet.faults.add(HELM, "", Fault(no_ranges=True, cut=0.5))
    internet.faults.add(HELM, "", Fault(no_ranges=True), times=None)
    path = fetch(helm)
    asked = [one.range is not None for one in internet.requests]
    assert asked == [False, True, False]
    assert sent(internet) <= 1.5 * path.stat().st_size + SLACK


def test_two_programs_fetch_it_once(internet: World, machine: Machine, helm: Pin, tmp_path: Path) -> None:
    words = (*PROGRAM, helm.source, str(helm.sha256), str(tmp_path / "file"))
    internet.rate_bytes_s = 20_000_000
    both = [machine.start(*words, env=HERE) for _ in range(2)]
    assert [(one.communicate(timeout=60)[1], one.returncode) for one in both] == [(b"", 0)] * 2
    assert sent(internet) == (tmp_path / "file").stat().st_size
    assert len(internet.requests) == 1


@pytest.mark.parametrize("all_of_it", [False, True], ids=["the program alone", "with its curl"])
def test_one_that_was_killed_goes_on(
    internet: World, machine: Machine, helm: Pin, tmp_path: Path, all_of_it: bool
) -> None:
    """Its curl may outlive it; then the next one waits for that, and does not write beside it."""
    words = (*PROGRAM, helm.source, str(helm.sha256), str(tmp_path / "file"))
    internet.rate_bytes_s = 5_000_000
    killed = machine.start(*words, env=HERE)
    wait_until(lambda: (fetching.progress(str(tmp_path / "file")) or (0, 0))[0] > 5_000_000, 30, "some of it")
    os.killpg(killed.pid, signal.SIGKILL) if all_of_it else killed.kill()
    killed.communicate()
    again = machine.run(*words, env=HERE)
    assert (again.returncode, again.stderr) == (0, b"")
    assert sent(internet) <= (tmp_path / "file").stat().st_size + (SLACK if all_of_it else 0)


def test_a_full_disk_is_told_with_what_was_needed_and_leaves_nothing(
    internet: World, pins: dict[str, Pin], tmp_path: Path
) -> None:
    """Behind a redirect, whose own length is none of the file's."""
    small = tmp_path / "small"
    small.mkdir()
    machine = Machine(internet, ADDRESS, tmp_path, before=f"mount -t tmpfs -o size=4m tmpfs {small}")
    pin = pins["k3s-images"]
    words = " ".join([*PROGRAM, f"'{pin.source}'", str(pin.sha256), f"{small}/a/file"])
    done = machine.run("sh", "-c", f"{words}; echo $?; ls -A {small}/a", env=HERE)
    assert done.stderr.decode().strip() == (
        f"{pin.source}: cannot be written to {small}/a: 26.8 MB needed, 4.2 MB free"
    )
    assert done.stdout.split() == [b"1", b"file.lock"]
    assert len([one for one in internet.requests if one.host == ASSETS]) == 1


def test_progress_says_how_much_is_here_of_how_much(
    internet: World, fetch: Fetch, pins: dict[str, Pin], tmp_path: Path
) -> None:
    pin, path = pins["k3s-images"], str(tmp_path / "file")
    assert fetching.progress(path) is None
    internet.faults.add(ASSETS, "", Fault(stall=0.5), times=1)
    fetching_it = threading.Thread(target=fetch, args=(pin,))
    fetching_it.start()
    here, whole = wait_until(
        lambda: (now := fetching.progress(path)) and now[1] and now[0] > 13_000_000 and now, 10, "half of it"
    )
    assert whole == 26_808_320
    assert here <= whole // 2
    fetching_it.join()
    assert fetching.progress(path) is None


@pytest.mark.parametrize("name", ["a b", "a[1-3]", "{a,b}", "-o"])
def test_an_address_is_one_address(fetch: Fetch, helm: Pin, name: str, internet: World) -> None:
    """curl would make several of some."""
    wanted = Pin("x", "file", "1", f"https://{HELM}/{name}", sha256="0" * 64)
    assert wanted.source in wrong(fetch, wanted)
    assert len(internet.requests) <= 1


def test_roots_own_settings_of_curl_do_not_count(
    internet: World, machine: Machine, helm: Pin, tmp_path: Path
) -> None:
    (tmp_path / ".curlrc").write_text("insecure\n")
    words = (*PROGRAM, helm.source, str(helm.sha256), str(tmp_path / "file"))
    done = machine.run(*words, env={**HERE, "HOME": str(tmp_path), "CURL_CA_BUNDLE": "/etc/hostname"})
    assert done.returncode == 1
    assert not internet.requests
