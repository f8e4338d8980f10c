"""A login that is not root: sudo with and without a password, and the password is nowhere but in sudo's stdin."""

import os
import re
import secrets
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from binderbox.errors import SudoRefused
from binderbox.world.host.lock import hold
from tests.world.conftest import OpenHost
from tests.world.sshd import LocalSshd, start_sshd

USER = "bbxtester"
PASSWORD = (
    f"open {secrets.token_hex(8)} $HOME 'x'"  # of this run alone, because one test looks for it everywhere
)

# The user exists only in a mount namespace with a copy of /etc, in which this sshd and all its sessions live.
PRIVATE_ETC = """\
set -e
cp -a /etc {directory}/etc
mount --make-rprivate / && mount --bind {directory}/etc /etc
useradd --no-create-home --home-dir / --shell /bin/sh {user}
printf '%s:%s' {user} "$PASSWORD" | chpasswd
printf '%s ALL=(ALL:ALL) %sALL\\n' {user} "{tag}" >/etc/sudoers.d/{user}
unset PASSWORD
exec "$@"
"""


@pytest.fixture(params=["", "NOPASSWD: "], ids=["password", "no-password"])
def sudo_sshd(request: pytest.FixtureRequest, directory: Path) -> Iterator[LocalSshd]:
    if os.geteuid() != 0:
        pytest.skip("makes a user in a mount namespace, and this is not root")
    for program in ("sshd", "sudo", "useradd", "unshare"):
        if not shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
            pytest.skip(f"no {program} here")
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    script = PRIVATE_ETC.format(directory=directory, user=USER, tag=request.param)
    running = start_sshd(directory, ["unshare", "--mount", "sh", "-c", script, "sh"], {"PASSWORD": PASSWORD})
    running.write_config(user=USER)
    yield running
    running.stop()


@pytest.fixture
def sshd(sudo_sshd: LocalSshd) -> LocalSshd:
    return sudo_sshd


def test_everything_runs_as_root(open_host: OpenHost, directory: Path) -> None:
    host = open_host(password=PASSWORD)
    assert host.sh("id -u; echo $HOME").stdout == b"0\n/root\n"
    assert host.sh("cat; id -u", stdin=b"in " * 100_000).stdout == b"in " * 100_000 + b"0\n"
    host.write(str(directory / "rooted"), b"x" * 100_000, 0o600)
    assert (directory / "rooted").stat().st_uid == 0
    with hold(host, "a step") as lock:
        lock.step("another")
        assert host.sh("id -u").stdout == b"0\n"


def test_the_password_is_in_no_argument_environment_log_or_file(open_host: OpenHost, directory: Path) -> None:
    seen: list[bytes] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for place in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        seen.append((place / name).read_bytes())
                    except OSError:
                        continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    host = open_host(password=PASSWORD)
    host.sh("sleep 0.3")
    host.connection.session("sleep 0.3")
    stop.set()
    watcher.join()
    assert len(seen) > 100
    assert [text for text in seen if PASSWORD.encode() in text] == []
    written = [*Path(host.connection.directory).rglob("*"), *(directory / "logs").rglob("*")]
    assert [path for path in written if path.is_file() and PASSWORD.encode() in path.read_bytes()] == []


def test_a_password_is_asked_for_only_if_sudo_asks(
    open_host: OpenHost, request: pytest.FixtureRequest
) -> None:
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        return PASSWORD

    open_host(password=ask).connection.session("true")
    assert len(asked) == (1 if re.search(r"\[password\]", request.node.name) else 0)


@pytest.mark.parametrize("sudo_sshd", [""], indirect=True, ids=["password"])
@pytest.mark.parametrize(
    ("password", "reason"), [("wrong", "did not take the password"), (None, "none was given")]
)
def test_no_password_or_a_wrong_one_is_refused(
    open_host: OpenHost, password: str | None, reason: str
) -> None:
    with pytest.raises(SudoRefused) as refused:
        open_host(password=password)
    assert reason in refused.value.cause
    assert refused.value.exit_code == 3


@pytest.mark.parametrize("sudo_sshd", [""], indirect=True, ids=["password"])
def test_an_account_that_sudo_does_not_know_is_refused(open_host: OpenHost, directory: Path) -> None:
    (directory / "etc/sudoers.d" / USER).unlink()
    with pytest.raises(SudoRefused) as refused:
        open_host(password=PASSWORD)
    assert "not in the sudoers file" in refused.value.cause
