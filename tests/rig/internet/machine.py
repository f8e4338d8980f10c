"""A machine of an Internet of the rig: programs of this one, in a mount namespace whose resolver and authority are its.

machine = Machine(internet, address, directory)
machine.run("curl", "https://github.com/...")
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.rig.internet.world import World

# Whatever this machine asks first for names, a program in there asks the Internet alone.
ENTER = 'mount --bind "$1/resolv.conf" /etc/resolv.conf && mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf'


class Machine:
    """Runs programs there; `before` is sh text that is run first, in the same namespace, such as a mount."""

    def __init__(self, internet: World, address: str, directory: Path, *, before: str = "true") -> None:
        self._directory, self._before = directory, before
        self.ca = directory / "ca.pem"
        self.ca.write_text(internet.ca_pem)
        (directory / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:2 attempts:2\n")
        (directory / "nsswitch.conf").write_text("hosts: dns\npasswd: files\ngroup: files\n")

    def run(
        self, *words: str, stdin: bytes = b"", env: Mapping[str, str] = {}, within_s: float = 120
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self._words(words), input=stdin, capture_output=True, env=self._env(env), timeout=within_s
        )

    def start(self, *words: str, env: Mapping[str, str] = {}) -> subprocess.Popen[bytes]:
        """Its process is that of the program itself, which a signal reaches; it leads a group with all that it starts."""
        return subprocess.Popen(
            self._words(words),
            env=self._env(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def _words(self, words: tuple[str, ...]) -> list[str]:
        script = f'{ENTER} && {self._before} && shift && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, "sh", str(self._directory), *words]

    def _env(self, more: Mapping[str, str]) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        return {**ours, "CURL_CA_BUNDLE": str(self.ca), "SSL_CERT_FILE": str(self.ca), **more}
