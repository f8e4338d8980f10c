"""Bad input and broken worlds on a host that nothing may change: the exit codes and the words a user gets."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.killing import run_into
from tests.rig.bundle import bundle
from tests.rig.client import Client, Finished, render_member
from tests.rig.host import RigHost

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]
TRACES = "ls -d /etc/binderbox /run/binderbox /var/lib/binderbox/* /usr/local/bin/k3s /etc/rancher 2>/dev/null || true"


@pytest.fixture(scope="module")
def bare_host(rig_engine: dict[str, str]) -> Iterator[RigHost]:
    """One host for all that must leave it as it was."""
    host = RigHost.start("bare")
    yield host
    host.stop()


@pytest.fixture(scope="module")
def begun_host(rig_engine: dict[str, str]) -> Iterator[RigHost]:
    """One host for installs that end early."""
    host = RigHost.start("begun")
    yield host
    host.stop()


def untouched(host: RigHost) -> bool:
    return host.exec(["sh", "-c", TRACES]).strip() == ""


def copied_bundle(tmp_path: Path) -> Path:
    """A copy of the rig's bundle that a test may spoil; the files are links until they are replaced."""
    copy = tmp_path / "bundle"
    shutil.copytree(bundle().path, copy, copy_function=lambda source, dest: Path(dest).hardlink_to(source))
    return copy


def replace(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def install_from(client: Client, host: RigHost, directory: Path, *args: str) -> Finished:
    config = client.home / "member.yaml"
    config.write_text(render_member({}))
    return client.binderbox(
        host, "install", "--config", str(config), "--bundle", str(directory), "--yes", "--json", *args
    )


def test_every_config_fault_is_told_at_once(bare_host: RigHost, client: Client) -> None:
    config = client.home / "bad.yaml"
    config.write_text("domain: not a name\nquotta: 3\npods: many\n")
    finished = client.binderbox(bare_host, "install", "--config", str(config), "--yes").must(2)
    for fault in (
        "bad.yaml:1: domain",
        "bad.yaml:2: quotta: unknown key; did you mean quota?",
        "bad.yaml:3: pods",
    ):
        assert fault in finished.stderr
    assert untouched(bare_host)


def test_a_busy_port_is_named_with_its_owner(bare_host: RigHost, client: Client) -> None:
    bare_host.exec(["systemd-run", "--unit=squatter", "python3", "-m", "http.server", "443"])
    try:
        finished = client.install(bare_host, "--json").must(3)
    finally:
        bare_host.exec(["systemctl", "stop", "squatter"])
    failing = [check for check in finished.result["checks"] if check["verdict"] == "fail"]
    assert any("443" in check["measured"] and "python3" in check["measured"] for check in failing)
    assert untouched(bare_host)


def test_a_bundle_that_misses_a_file_is_refused(begun_host: RigHost, client: Client, tmp_path: Path) -> None:
    directory = copied_bundle(tmp_path)
    (directory / "k3s").unlink()
    finished = install_from(client, begun_host, directory, "--bundle-sha256", bundle().lock_sha256).must(4)
    assert "k3s" in finished.result["error"]["message"]
    assert begun_host.exec(["sh", "-c", "ls /usr/local/bin/k3s 2>/dev/null || true"]).strip() == ""


def test_a_changed_byte_is_found_before_it_is_used(
    begun_host: RigHost, client: Client, tmp_path: Path
) -> None:
    directory = copied_bundle(tmp_path)
    data = bytearray((directory / "k3s").read_bytes())
    expected = hashlib.sha256(data).hexdigest()
    data[len(data) // 2] ^= 1
    replace(directory / "k3s", bytes(data))
    error = (
        install_from(client, begun_host, directory, "--bundle-sha256", bundle().lock_sha256)
        .must(4)
        .result["error"]
    )
    assert "k3s" in error["message"]
    assert expected in error["cause"]
    assert hashlib.sha256(data).hexdigest() in error["cause"]


def test_artifact_and_lock_changed_together_are_refused(
    bare_host: RigHost, client: Client, tmp_path: Path
) -> None:
    directory = copied_bundle(tmp_path)
    replace(directory / "k3s", b"#!/bin/sh\n")
    lock = json.loads((directory / "bundle.lock.json").read_text())
    entry = next(one for one in lock["artifacts"] if one["name"] == "k3s")
    entry["sha256"] = hashlib.sha256(b"#!/bin/sh\n").hexdigest()
    replace(directory / "bundle.lock.json", json.dumps(lock).encode())
    install_from(client, bare_host, directory, "--bundle-sha256", bundle().lock_sha256).must(4)
    install_from(client, bare_host, directory).must(4)
    assert untouched(bare_host)


def test_a_second_client_is_told_who_is_at_it(
    begun_host: RigHost, client: Client, second_client: Client
) -> None:
    first = run_into(client, begun_host, "Start k3s", linger_s=1)
    try:
        error = second_client.install(begun_host, "--json").must(7).result["error"]
        assert "Start k3s" in error["message"]
    finally:
        first.kill()


def test_interrupted_by_ctrl_c_the_lock_is_free_again(begun_host: RigHost, client: Client) -> None:
    running = run_into(client, begun_host, "Start k3s", linger_s=1)
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 130
    second = run_into(client, begun_host, "Start k3s", linger_s=0)
    second.kill()


def test_a_host_that_refuses_ssh_is_told_with_the_plain_line(
    start_host: Callable[..., RigHost], client: Client
) -> None:
    host = start_host("refusing")
    host.kill_sshd(stay_down=True)
    finished = client.install(host).must(3)
    assert "refused" in finished.stderr.lower()
    assert "ssh " in finished.stderr


def test_the_plan_of_a_bare_host_changes_nothing(bare_host: RigHost, client: Client) -> None:
    config = client.home / "member.yaml"
    config.write_text(render_member({}))
    options = [
        "--config",
        str(config),
        "--bundle",
        str(bundle().path),
        "--bundle-sha256",
        bundle().lock_sha256,
    ]
    result = client.binderbox(bare_host, "plan", *options, "--exit-code", "--json").must(6).result
    assert result["changed"]
    assert untouched(bare_host)
