"""A private sshd on loopback for the tests of the connection: own keys, own known_hosts, own port, no password."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# SHLVL: Debian's bash reads .bashrc under ssh, and the developer's own one is no part of a test.
CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {directory}/host_key
PidFile {directory}/sshd.pid
AuthorizedKeysFile {directory}/authorized_keys
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PermitRootLogin prohibit-password
MaxSessions 20
SetEnv SHLVL=5
Subsystem sftp internal-sftp
"""

CLIENT = """\
Host box
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {directory}/key
  IdentitiesOnly yes
  UserKnownHostsFile {directory}/known_hosts
  GlobalKnownHostsFile /dev/null
"""


@dataclass
class LocalSshd:
    """A running sshd; `config` is the client's ssh config, in which it is called `box`."""

    directory: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def config(self) -> Path:
        return self.directory / "config"

    def write_config(self, name: str = "config", user: str = "root", **replace: str) -> Path:
        """Another client config: `replace` maps ssh's own keywords to new values, in place or added."""
        lines = CLIENT.format(port=self.port, user=user, directory=self.directory).splitlines()
        kept = [line for line in lines if line.split()[0] not in replace]
        path = self.directory / name
        path.write_text("\n".join([*kept, *(f"  {key} {value}" for key, value in replace.items())]) + "\n")
        return path

    def session_pids(self) -> list[int]:
        """The sshd processes that serve connections (children of the listener)."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def kill_sessions(self) -> None:
        for pid in self.session_pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        self.kill_sessions()
        self.process.terminate()
        self.process.wait(5)


def start_sshd(
    directory: Path,
    wrapper: Sequence[str] = (),
    extra: Mapping[str, str] | None = None,
    setting: str = "",
) -> LocalSshd:
    """Start an sshd of our own, if need be by a `wrapper` command with `extra` environment; the caller stops it.

    + setting: a line of sshd_config that comes before ours, and so wins
    """
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert sshd, "no sshd"
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's privilege separation directory
    for name in ("host_key", "key", "other_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shutil.copy(directory / "key.pub", directory / "authorized_keys")
    host_key = (directory / "host_key.pub").read_text()
    (directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    (directory / "sshd_config").write_text(f"{setting}\n{CONFIG.format(port=port, directory=directory)}")
    log = (directory / "sshd.log").open("wb")
    line = [*wrapper, sshd, "-D", "-e", "-f", str(directory / "sshd_config")]
    process = subprocess.Popen(line, stderr=log, env={**os.environ, **(extra or {})})
    running = LocalSshd(directory, port, process)
    running.write_config()
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return running
        time.sleep(0.05)
    raise AssertionError((directory / "sshd.log").read_text())
