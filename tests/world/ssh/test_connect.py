"""Getting in, and every way of not getting in: the reason ssh gave, the keys tried, the line to compare."""

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from binderbox.errors import ConfigError, ConnectError, ConnectionLost, HostKeyUnknown, StepFailed
from binderbox.world.host.hosts import Host, connect
from binderbox.world.ssh.destination import parse_destination
from binderbox.world.ssh.master import keys_tried, own_words, quick_first
from tests.waiting import wait_until
from tests.world.conftest import OpenHost
from tests.world.sshd import LocalSshd


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("host.example", "host.example"),
        ("me@host.example", "host.example"),
        ("ssh://me@host.example:2222", "host.example"),
        ("ssh://[2001:db8::1]:22", "2001:db8::1"),
        ("alias", "alias"),
    ],
)
def test_a_host_is_what_ssh_takes(text: str, name: str) -> None:
    assert parse_destination(text).name == name


@pytest.mark.parametrize("text", ["", "-oProxyCommand=touch /x", "a b", "a;b", "$(x)", "a\nb"])
def test_a_host_that_ssh_could_misread_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_destination(text)


def test_every_form_of_host_works(sshd: LocalSshd, monkeypatch: pytest.MonkeyPatch) -> None:
    everyone = sshd.write_config("everyone")
    everyone.write_text(
        everyone.read_text().replace("Host box", "Host box 127.0.0.1").replace("  Port", "  # Port")
    )
    monkeypatch.setenv("BINDERBOX_SSH_CONFIG", str(everyone))
    with connect(f"ssh://root@127.0.0.1:{sshd.port}") as host:
        assert host.sh("id -u").stdout == b"0\n"
    with connect("root@box", ssh_config=sshd.config) as host:
        assert host.sh("id -u").stdout == b"0\n"


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"IdentityFile": "{directory}/other_key"}, ConnectError, ["Permission denied", "other_key"]),
        ({"UserKnownHostsFile": "/dev/null"}, HostKeyUnknown, ["verification failed", "ssh-ed25519 SHA256:"]),
        ({"Port": "1"}, ConnectError, ["port 1: Connection refused", "keys tried: none"]),
        ({"HostName": "nosuch.invalid"}, ConnectError, ["Could not resolve hostname nosuch.invalid"]),
        ({"ProxyCommand": "echo sorry >&2; exit 1"}, ConnectError, ["configuration: ProxyCommand\n"]),
        ({"NoSuchKeyword": "1"}, ConnectError, ["Bad configuration option: nosuchkeyword"]),
    ],
)
def test_a_refusal_says_why(
    sshd: LocalSshd, change: dict[str, str], kind: type[ConnectError], words: list[str]
) -> None:
    changed = {key: value.format(directory=sshd.directory) for key, value in change.items()}
    config = sshd.write_config("changed", **changed)
    with pytest.raises(ConnectError) as refused, connect("box", ssh_config=config):
        pass
    assert type(refused.value) is kind
    assert refused.value.exit_code == 3
    assert [word for word in words if word not in refused.value.cause] == []
    assert "ssh gave no reason" not in refused.value.cause
    assert ("ssh configuration:" in refused.value.cause) is ("ProxyCommand" in change)
    assert f"ssh -F {config} box true" in refused.value.remedy


def test_a_dead_jump_host_is_named(sshd: LocalSshd) -> None:
    config = sshd.write_config("dead_jump", ProxyJump="hop")
    config.write_text(config.read_text() + "Host hop\n  HostName 127.0.0.1\n  Port 1\n")
    with pytest.raises(ConnectError) as refused, connect("box", ssh_config=config):
        pass
    assert "the way there is set in your ssh configuration: ProxyJump hop\n" in refused.value.cause
    assert "no reason" not in refused.value.cause


def test_a_changed_host_key_is_refused(sshd: LocalSshd, tmp_path: Path) -> None:
    other = (sshd.directory / "other_key.pub").read_text()
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{sshd.port} {other}")
    config = sshd.write_config("other", UserKnownHostsFile=str(tmp_path / "known_hosts"))
    with pytest.raises(HostKeyUnknown) as refused, connect("box", ssh_config=config):
        pass
    assert "verification failed" in refused.value.cause


def test_the_users_config_may_hold_what_would_disturb_us(sshd: LocalSshd) -> None:
    config = sshd.write_config(
        "busy",
        RemoteCommand="echo hijacked",
        RequestTTY="force",
        ControlMaster="auto",
        ControlPath="~/none",
        LogLevel="DEBUG3",
    )
    with connect("box", ssh_config=config) as host:
        assert (host.sh("echo fine").stdout, host.sh("echo fine").stderr) == (b"fine\n", b"")


def test_a_jump_host_of_the_config_is_used(sshd: LocalSshd) -> None:
    config = sshd.write_config("jump", ProxyJump="hop")
    hop = sshd.config.read_text().replace("Host box", "Host hop")
    config.write_text(config.read_text() + hop)
    before = _logins(sshd)
    with connect("box", ssh_config=config) as host:
        assert host.sh("echo through").stdout == b"through\n"
        assert host.address == ""
    assert _logins(sshd) - before == 2


def _logins(sshd: LocalSshd) -> int:
    return (sshd.directory / "sshd.log").read_text().count("Accepted publickey")


def test_a_broken_connection_is_an_error_within_seconds(sshd: LocalSshd, host: Host) -> None:
    sshd.kill_sessions()
    started = time.monotonic()
    with pytest.raises(ConnectionLost) as lost:
        host.sh("true")
    assert time.monotonic() - started < 5
    assert isinstance(lost.value, StepFailed)
    assert f"ssh -F {sshd.config} box true" in lost.value.remedy


def test_a_connection_that_breaks_within_a_command_is_an_error_too(sshd: LocalSshd, host: Host) -> None:
    subprocess.Popen(["sh", "-c", f"sleep 1; kill -9 {' '.join(map(str, sshd.session_pids()))}"])
    with pytest.raises(ConnectionLost):
        host.sh("sleep 30")


@pytest.mark.long
def test_a_host_that_falls_silent_is_noticed(sshd: LocalSshd, host: Host) -> None:
    pids = sshd.session_pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(ConnectionLost) as lost:
            host.sh("true", timeout_s=None)
        assert "not responding" in lost.value.cause
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_nothing_is_left_after_the_end(sshd: LocalSshd, open_host: OpenHost) -> None:
    host = open_host()
    private = Path(host.connection.directory)
    assert private.stat().st_mode & 0o777 == 0o700
    host.close()
    assert not private.exists()
    wait_until(lambda: not sshd.session_pids(), 30, "sshd has no session left")


def test_ssh_log_is_read_for_what_people_need() -> None:
    log = """\
OpenSSH_9.2p1 Debian-2+deb12u3
debug1: identity file /home/me/.ssh/id_ed25519 type 3
debug1: identity file /home/me/.ssh/id_dsa type -1
debug1: Offering public key: /home/me/.ssh/id_rsa RSA SHA256:abc agent
debug1: Sending command: exec sh -c 'true
client_loop: not a line of ssh'
debug1: Exit status 0
me@host: Permission denied (publickey).
"""
    assert own_words(log) == ["me@host: Permission denied (publickey)."]
    assert keys_tried(log) == ["/home/me/.ssh/id_rsa RSA SHA256:abc", "/home/me/.ssh/id_ed25519"]


def test_what_a_killed_client_left_is_removed_an_hour_later(sshd: LocalSshd, open_host: OpenHost) -> None:
    parent = Path(open_host().connection.directory).parent
    old, young = (Path(tempfile.mkdtemp(prefix="bbx-ssh-", dir=parent)) for _ in range(2))
    os.utime(old, (0, time.time() - 3700))
    open_host()
    assert (old.exists(), young.exists()) == (False, True)
    young.rmdir()


def test_it_knows_where_ssh_went(sshd: LocalSshd) -> None:
    """A member that no public DNS knows is looked for there; a jump host leads to where this client may not reach."""
    with connect("box", ssh_config=sshd.write_config("direct")) as host:
        assert host.address == "127.0.0.1"
    with connect("box", ssh_config=sshd.write_config("given"), address="192.0.2.7") as host:
        assert host.address == "192.0.2.7"


@pytest.mark.parametrize(
    "forced",
    [
        "echo Use the account admin on this machine, not root.; exit 142",
        "echo Use the account admin on this machine, not root.; sleep 3; exit 142",
        "/bin/echo Use the account admin on this machine, not root.",
    ],
)
def test_a_key_with_a_command_of_its_own_is_told_in_the_hosts_words(sshd: LocalSshd, forced: str) -> None:
    keys = sshd.directory / "authorized_keys"
    plain = keys.read_text()
    keys.write_text(f'command="{forced}" {plain}')
    try:
        with pytest.raises(ConnectError) as refused, connect("box", ssh_config=sshd.config):
            pass
    finally:
        keys.write_text(plain)
    assert "Use the account admin on this machine, not root." in refused.value.cause
    assert "sudo" not in refused.value.remedy
    assert "USER@HOST" in refused.value.remedy


def test_the_quickest_of_the_allowed_ciphers_comes_first_and_none_is_added() -> None:
    gcm = "aes128-gcm@openssh.com,aes256-gcm@openssh.com"
    own = f"chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,{gcm}"
    assert quick_first(own) == f"{gcm},chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr"
    assert quick_first("aes256-ctr,aes256-gcm@openssh.com") == "aes256-gcm@openssh.com,aes256-ctr"
    assert quick_first("aes256-ctr,chacha20-poly1305@openssh.com") == "", "left as the user has it"
    assert quick_first("") == ""
