"""A person at a machine of their own who runs the real program against a rig host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rig.egress import site_settings
from tests.rig.host import RigHost

PROGRAM = str(Path(sys.executable).with_name("binderbox"))
DOMAIN = "binder.test"  # RFC 6761: never in public DNS, so the program looks for it at the host itself
CONTACT = "operators@example.org"
NOBODY = {"enabled": False}  # a host of the rig asks no prime but the one that a test gives it
COMMAND_TIMEOUT_S = 1200


@dataclass(frozen=True)
class Finished:
    """A run of the program that ended."""

    code: int
    stdout: str
    stderr: str
    seconds: float = 0.0

    @property
    def result(self) -> dict[str, Any]:
        """The last JSON line of a run with --json."""
        found: dict[str, Any] = json.loads(self.stdout.strip().splitlines()[-1])
        return found

    def must(self, code: int = 0) -> Finished:
        """Return itself if the run ended with this exit code, else fail the test with all that it said."""
        assert self.code == code, f"exit code {self.code}, not {code}\n{self.stdout}\n{self.stderr}"
        return self


@dataclass(frozen=True)
class Client:
    """One home directory; two clients share nothing but the host."""

    home: Path
    resolver: str = ""  # whom this machine asks for names in the program's eyes; "" for its own
    trusted: Path | None = None  # who alone vouches for certificates in the program's eyes

    def binderbox(
        self, host: RigHost, command: str, *args: str, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> Finished:
        """Run `binderbox COMMAND HOST ARGS` to its end."""
        started = time.monotonic()
        with self.start(host, command, *args) as process:
            try:
                stdout, stderr = process.communicate(timeout=timeout_s)
            except BaseException:
                process.kill()
                raise
        return Finished(process.returncode, stdout, stderr, time.monotonic() - started)

    def start(self, host: RigHost, command: str, *args: str) -> subprocess.Popen[str]:
        """Start `binderbox COMMAND HOST ARGS` and return at once; it has a process group of its own."""
        return subprocess.Popen(
            [*self.elsewhere(), PROGRAM, *command.split(), host.alias, *args],
            cwd=self.home, env=self.environment(host), text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def install(self, host: RigHost, *args: str, **member: object) -> Finished:
        """Install from the rig's bundle; `member` are keys of the config beside those that the rig needs."""
        config = self.home / f"{host.alias}.yaml"
        config.write_text(render_member(member), encoding="utf-8")
        return self.binderbox(host, "install", *install_arguments(config), *args)

    def elsewhere(self) -> list[str]:
        """What the program is started by, so that it finds names by that resolver: a mount namespace of its own."""
        if not self.resolver:
            return []
        names = self.home / "resolv.conf"
        names.write_text(f"nameserver {self.resolver}\n")
        script = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, "sh", str(names)]

    def environment(self, host: RigHost) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BINDERBOX_")}
        own = {
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "BINDERBOX_SSH_CONFIG": str(host.ssh_config),
        }
        if host.account.sudo_password:
            own["BINDERBOX_SUDO_PASSWORD"] = host.account.sudo_password
        if self.trusted:
            own["SSL_CERT_FILE"] = str(self.trusted)
        (self.home / "run").mkdir(mode=0o700, exist_ok=True)
        return kept | own


def install_arguments(config: Path) -> list[str]:
    """What `install` needs to use a config and the rig's bundle, without asking."""
    return ["--config", str(config), *bundle_options(), "--yes"]


def bundle_options() -> list[str]:
    from tests.rig.bundle import bundle  # builds everything there is; only those who install wait for it

    found = bundle()
    return ["--bundle", str(found.path), "--bundle-sha256", found.lock_sha256]


def render_member(keys: dict[str, object]) -> str:
    from binderbox.member import model as member

    rig = {"domain": DOMAIN, "tls": "own-ca", "abuse_contact": CONTACT, "follow": NOBODY}
    return member.render({**rig, **site_settings(), **keys})
