"""The demo host as it is known on this machine: where its files lie, and what is in them.

`${XDG_STATE_HOME:-~/.local/state}/binderbox/demo/` holds demo.json, member.yaml, ssh_config, known_hosts and the key.
Reads these files; starting and removing the host is `world.containers`' work.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from binderbox.errors import UsageError
from binderbox.member import model as member

NAME = "binderbox-demo"
ALIAS = "demo"
FILES = (
    "demo.json",
    "member.yaml",
    "ssh_config",
    "known_hosts",
    "id_ed25519",
    "id_ed25519.pub",
    "resolv.conf",
)
LABEL = "binderbox.demo"
DOMAIN = "demo.localhost"  # RFC 6761: every name below localhost is this machine
HTTPS_PORT = 8443
HTTP_PORT = 8080
ACME_PORTS = (443, 80)
SSH_PORT = 8022
IMAGE = "binderbox-demo-host:1"
IMAGE_CONTEXT = ("Dockerfile", "setup.sh")  # in demo_host/


@dataclass(frozen=True)
class SshKey:
    """A key pair in OpenSSH's own formats."""

    private: str
    public: str


@dataclass(frozen=True)
class Demo:
    """A demo host that was started. `docker_host` is the engine's address if it is not the default one."""

    image: str
    https_port: int
    http_port: int
    ssh_port: int
    docker_host: str | None = None

    @property
    def ssh_config(self) -> Path:
        return directory() / "ssh_config"

    @property
    def member_file(self) -> Path:
        return directory() / "member.yaml"

    @property
    def engine_env(self) -> dict[str, str]:
        return {"DOCKER_HOST": self.docker_host} if self.docker_host else {}


def directory() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "binderbox" / "demo"


def read() -> Demo | None:
    """The demo host that was started last and not removed, or None."""
    try:
        return Demo(**json.loads((directory() / "demo.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, TypeError, ValueError) as error:
        raise UsageError(
            f"{directory() / 'demo.json'} cannot be read: {error}",
            remedy="binderbox demo down   (removes the demo host, whatever the file says)",
        ) from error


def resolve(destination: str) -> tuple[str, Path | None]:
    """HOST and the ssh config to reach it by: the word `demo` has one of its own, others have None.

    Raises UsageError when no demo host was started.
    """
    if destination != ALIAS:
        return destination, None
    found = read()
    if found is None:
        raise UsageError("no demo host runs on this machine", remedy="binderbox demo up")
    return destination, found.ssh_config


def write(demo: Demo, key: SshKey) -> None:
    """Write what is known of a demo host before it starts, so that an interrupted start can be continued."""
    here = directory()
    here.mkdir(parents=True, exist_ok=True, mode=0o700)
    private = here / "id_ed25519"
    private.unlink(missing_ok=True)
    private.touch(mode=0o600)
    private.write_text(key.private, encoding="utf-8")
    (here / "id_ed25519.pub").write_text(key.public, encoding="utf-8")
    text = render_ssh_config(ALIAS, "127.0.0.1", demo.ssh_port, "root", private, here / "known_hosts")
    demo.ssh_config.write_text(text, encoding="utf-8")
    (here / "demo.json").write_text(json.dumps(asdict(demo), indent=2) + "\n", encoding="utf-8")


def write_host_key(demo: Demo, host_key: str) -> None:
    """Write the key that the host has shown, from the text of its public key file."""
    text = render_known_host("127.0.0.1", demo.ssh_port, host_key)
    (directory() / "known_hosts").write_text(text, encoding="utf-8")


def write_resolv_conf(text: str) -> Path:
    """Write the file that is mounted as the host's resolv.conf; it must stay as long as the host does."""
    path = directory() / "resolv.conf"
    path.write_text(text, encoding="utf-8")
    return path


def public_key() -> str:
    return (directory() / "id_ed25519.pub").read_text(encoding="utf-8")


def forget() -> None:
    """Remove the demo host's files, and the directories above them that are empty then."""
    here = directory()
    for name in FILES:
        (here / name).unlink(missing_ok=True)
    for path in (here, here.parent):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def make_ssh_key() -> SshKey:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return SshKey(private.decode(), f"{public.decode()} {NAME}\n")


def render_ssh_config(
    alias: str, address: str, port: int, user: str, key: Path, known_hosts: Path, jump: str | None = None
) -> str:
    """An ssh config by which `ssh -F FILE ALIAS` logs in with this key, to a host with a known key, and asks nothing."""
    lines = [
        f"Host {alias}",
        f"    HostName {address}",
        f"    Port {port}",
        f"    User {user}",
        f'    IdentityFile "{key}"',
        "    IdentitiesOnly yes",
        f'    UserKnownHostsFile "{known_hosts}"',
        "    StrictHostKeyChecking yes",
    ]
    if jump:
        lines.append(f"    ProxyJump {jump}")
    return "\n".join(lines) + "\n"


def render_known_host(address: str, port: int, public_key: str) -> str:
    """The known_hosts line of a host, from the text of its public key file."""
    at = address if port == 22 else f"[{address}]:{port}"
    return f"{at} {' '.join(public_key.split()[:2])}\n"


def render_member(demo: Demo, site: Mapping[str, object]) -> str:
    """The config of the member on the demo host; `site` holds further keys. Raises ConfigError for a wrong one."""
    ports = {"https_port": demo.https_port, "http_port": demo.http_port}
    tls = "acme" if site.get("acme_server") else "own-ca"
    return member.render({"domain": DOMAIN, "tls": tls, **ports, **site})


def parse_egress(text: str) -> dict[str, object]:
    """`10.20.0.0/24:443,3128` as one entry of the config's egress_allow."""
    network, _, ports = text.rpartition(":")
    if not network or not all(port.isdigit() for port in ports.split(",")):
        raise UsageError(
            f"--egress-allow {text}: needed is a network and its TCP ports",
            remedy="binderbox demo up --egress-allow 10.20.0.0/24:443,3128",
        )
    return {"network": network, "ports": [int(port) for port in ports.split(",")]}
