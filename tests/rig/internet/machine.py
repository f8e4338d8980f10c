"""A machine of an Internet of the rig: programs of this one, in a mount namespace whose resolver and authority are its.

machine = Machine(internet, address, directory)
machine.run("curl", "https://github.com/...")
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.rig.internet.world import World

# Whatever this machine asks first for names, a program in there asks the Internet alone.
ENTER = 'mount --bind "$1/resolv.conf" /etc/resolv.conf && mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf'

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class Machine:
    """Runs programs there; `before` is sh text that is run first, in the same namespace, such as a mount."""

    def __init__(self, internet: World, address: str, directory: Path, *, before: str = "true") -> None:
        self._directory, self._before = directory, before
        self.ca = directory / "ca.pem"
        self.ca.write_text(internet.ca_pem)
        (directory / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:2 attempts:2\n")
        (directory / "nsswitch.conf").write_text("hosts: dns\npasswd: files\ngroup: files\n")

    def words(self, *words: str) -> list[str]:
        """The command that runs such a one there, for those who start it themselves."""
        script = f'{ENTER} && {self._before} && shift && exec "$@"'
        trusted = [f"CURL_CA_BUNDLE={self.ca}", f"SSL_CERT_FILE={self.ca}"]
        inside = ["unshare", "--mount", "sh", "-c", script, "sh", str(self._directory)]
        return [*inside, "env", *(f"--unset={name}" for name in PROXIES), *trusted, *words]

    def run(
        self, *words: str, stdin: bytes = b"", env: Mapping[str, str] = {}, within_s: float = 120
    ) -> subprocess.CompletedProcess[bytes]:
        command = self.words(*_with(env), *words)
        return subprocess.run(command, input=stdin, capture_output=True, timeout=within_s)

    def start(self, *words: str, env: Mapping[str, str] = {}) -> subprocess.Popen[bytes]:
        """Its process is that of the program itself, which a signal reaches; it leads a group with all that it starts."""
        return subprocess.Popen(
            self.words(*_with(env), *words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )


def _with(env: Mapping[str, str]) -> list[str]:
    return ["env", *(f"{name}={value}" for name, value in env.items())]
