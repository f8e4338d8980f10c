"""Files and forwards: whole or not at all, no change when nothing differs, secrets kept out of the log."""

import hashlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from binderbox import layout
from binderbox.errors import BundleError, StepFailed
from binderbox.world.host.hosts import Host
from binderbox.world.host.runlog import RunLog
from tests.world.sshd import LocalSshd


@pytest.mark.parametrize("size", [0, 1, 20_000, 200_000, 3_000_000])
def test_a_written_file_has_content_mode_and_owner(host: Host, directory: Path, size: int) -> None:
    path, data = directory / "new dir" / "it's", os.urandom(size)
    assert host.write(str(path), data, 0o640) is True
    assert (path.read_bytes(), path.stat().st_mode & 0o7777, path.stat().st_uid) == (data, 0o640, 0)
    assert host.read(str(path)) == data
    assert os.listdir(path.parent) == ["it's"]


def test_writing_the_same_again_changes_nothing(host: Host, directory: Path) -> None:
    path = directory / "file"
    host.write(str(path), b"same", 0o600)
    before = path.stat().st_ino
    assert host.write(str(path), b"same", 0o600) is False
    assert path.stat().st_ino == before
    assert host.write(str(path), b"same", 0o644) is True
    assert host.write(str(path), b"other", 0o644) is True


def test_writing_replaces_a_link_and_not_what_it_points_to(host: Host, directory: Path) -> None:
    (directory / "target").write_text("precious")
    (directory / "link").symlink_to(directory / "target")
    host.write(str(directory / "link"), b"new")
    assert ((directory / "target").read_text(), (directory / "link").is_symlink()) == ("precious", False)


def test_a_file_that_cannot_be_written_says_so(host: Host, directory: Path) -> None:
    (directory / "file").write_text("in the way")
    with pytest.raises(StepFailed, match="cannot write"):
        host.write(str(directory / "file/below"), b"x")


def test_an_absent_file_reads_as_none(host: Host, directory: Path) -> None:
    assert host.read(str(directory / "absent")) is None
    with pytest.raises(StepFailed, match="cannot read"):
        host.read(str(directory))


def test_an_upload_arrives_by_its_checksum_or_not_at_all(host: Host, directory: Path) -> None:
    source, data = directory / "source", os.urandom(5_000_000)
    source.write_bytes(data)
    place = directory / "there/artifact"
    with pytest.raises(BundleError) as wrong:
        host.upload(source, str(place), "0" * 64)
    assert hashlib.sha256(data).hexdigest() in wrong.value.cause
    assert os.listdir(place.parent) == []
    host.upload(source, str(place), hashlib.sha256(data).hexdigest(), 0o755)
    assert (place.read_bytes() == data, place.stat().st_mode & 0o777) == (True, 0o755)


def test_a_client_killed_within_an_upload_leaves_no_file_of_that_name(
    sshd: LocalSshd, host: Host, directory: Path
) -> None:
    code = f"""
import time
from pathlib import Path
from binderbox.world.ssh.destination import parse_destination
from binderbox.world.ssh.connection import Connection
connection = Connection(parse_destination("box", Path({str(sshd.config)!r})), run_dir={str(directory / "run")!r}).open()
def slow():
    for _ in range(100000):
        yield b"x" * 100_000
        print("sent", flush=True)
        time.sleep(0.01)
from binderbox.world.ssh.transfer import put_script
connection.session(put_script({str(directory / "f")!r}, 0o644, 10**10), stdin=slow())
"""
    own = {**os.environ, "XDG_RUNTIME_DIR": str(directory)}  # a killed client cannot tidy up
    client = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=own)
    assert client.stdout
    for _ in range(20):
        client.stdout.readline()
    client.kill()
    client.wait()
    host.sh(
        f"for i in $(seq 100); do ls -A {directory} | grep -q '^.bbx' || break; sleep 0.1; done", timeout_s=30
    )
    assert [name for name in os.listdir(directory) if name == "f" or name.startswith(".bbx")] == []


def test_a_tcp_forward_leads_to_the_host(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_answer_once, args=[server], daemon=True).start()
        with host.forward(server.getsockname()[1]) as (address, port):  # noqa: SIM117
            with socket.create_connection((address, port), 5) as client:
                assert client.recv(100) == b"hello"
        with pytest.raises(OSError), socket.create_connection((address, port), 1):  # noqa: PT011
            pass


def test_a_unix_socket_of_the_host_can_be_reached_by_both_kinds(host: Host, directory: Path) -> None:
    path = str(directory / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        for forward in (host.forward, host.forward_socket):
            threading.Thread(target=_answer_once, args=[server], daemon=True).start()
            with forward(path) as near:
                family = socket.AF_INET if isinstance(near, tuple) else socket.AF_UNIX
                with socket.socket(family) as client:
                    client.settimeout(5)
                    client.connect(near if isinstance(near, tuple) else str(near))
                    assert client.recv(100) == b"hello"


def _answer_once(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"hello")


def test_secrets_never_reach_the_log(host: Host, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SECRETS", str(directory / "secrets"))
    host.write(f"{layout.SECRETS}/token", b"correct-horse\n", 0o600)
    host.sh("echo correct-horse >&2; exit 1")
    host.hide("battery-staple")
    host.sh("echo battery-staple >&2; exit 1")
    log = host.log.path.read_text()
    assert "(secret)" in log
    assert ("correct-horse" in log, "battery-staple" in log) == (False, False)
    assert host.log.path.stat().st_mode & 0o777 == 0o600


def test_a_log_that_has_grown_large_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "box.log"
    path.write_bytes(b"x" * 10_000_001)
    log = RunLog(path)
    log.write("new")
    log.close()
    assert path.read_text().endswith(" new\n")
    assert (tmp_path / "box.log.1").stat().st_size == 10_000_001
