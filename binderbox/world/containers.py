"""Throwaway hosts: systemd in a privileged container, driven through the docker command by argument lists."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field

from binderbox.errors import PreflightError, StepFailed

# Not on the container's own overlay: containerd, BuildKit and k3s cannot stack theirs on it.
HOST_VOLUMES = (
    "/var/lib/rancher",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/lib/buildkit",
    "/var/lib/binderbox",
)
BOOT_TIMEOUT_S = 120
STOP_TIMEOUT_S = 90
COMMAND_TIMEOUT_S = 120
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
# Waits until systemd has started everything and sshd listens; then prints the host's public key.
# $1 seconds, $2 the host key's file
READY = """
end=$(($(date +%s) + $1))
while [ "$(date +%s)" -lt "$end" ]; do
    state=$(systemctl is-system-running 2>/dev/null)
    case $state in running|degraded) ss -Hltn | grep -q . && [ -s "$2" ] && exec cat "$2" ;; esac
    sleep 0.1
done
echo "systemd is ${state:-not there} after $1 s" >&2
systemctl --failed --no-legend --no-pager >&2
exit 1
"""


@dataclass(frozen=True)
class HostSpec:
    """A throwaway host to start.

    + label: `key=value` on the container, its volumes and its network, by which all of it is found again
    + publish: (port on this machine's loopback, port of the host)
    + files: path to (text, mode), put there before the first boot
    + resolv_conf: a file on this machine, mounted as the host's own
    + memory: the most it may use, as docker writes it (`6g`)
    """

    name: str
    image: str
    label: str
    network: str
    address: str | None = None
    publish: tuple[tuple[int, int], ...] = ()
    files: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    volumes: tuple[str, ...] = HOST_VOLUMES
    resolv_conf: str | None = None
    memory: str | None = None

    def volume(self, path: str) -> str:
        """The name of the volume that is mounted at `path`."""
        return f"{self.name}-{path.rpartition('/')[2]}"


@dataclass(frozen=True)
class Engine:
    """A container engine, reached as the docker command reaches it under this environment."""

    env: Mapping[str, str] = field(default_factory=dict)

    def run(self, *args: str, stdin: bytes | None = None, timeout_s: float = COMMAND_TIMEOUT_S) -> str:
        """Run `docker ARGS` and return its stdout; raises StepFailed with its stderr, PreflightError without docker."""
        return self._docker(args, stdin, timeout_s).decode(errors="replace").strip()

    def answers(self) -> bool:
        """Whether there is an engine at all."""
        try:
            return self.run("version", "--format", "{{.Server.Version}}", timeout_s=20) != ""
        except (PreflightError, StepFailed):
            return False

    def ensure_answers(self) -> None:
        """Raise PreflightError with what to do, unless an engine answers."""
        try:
            self.run("version", "--format", "{{.Server.Version}}", timeout_s=20)
        except StepFailed as failure:
            at = self.env.get("DOCKER_HOST") or os.environ.get("DOCKER_HOST")
            raise PreflightError(
                f"a throwaway host needs a container engine, and none answers{f' at {at}' if at else ''}",
                cause=failure.cause,
                remedy="start docker (`systemctl start docker`) or set DOCKER_HOST, until `docker info` answers",
            ) from failure

    def has_image(self, tag: str) -> bool:
        return bool(self.run("images", "--quiet", tag))

    def build(self, tag: str, context: Mapping[str, bytes], label: str, timeout_s: float) -> None:
        """Build an image from the files of a context, one of them called Dockerfile."""
        packed = make_tar({name: (content, 0o644) for name, content in context.items()})
        self.run("build", "--tag", tag, "--label", label, "-", stdin=packed, timeout_s=timeout_s)

    def resolvers(self, image: str) -> str:
        """The engine's own resolvers, as resolv.conf lines.

        On a network that was made by name docker puts itself before them, at a loopback address, where the pods of a
        host cannot ask it.
        """
        command = ("run", "--rm", "--network", "bridge", "--entrypoint", "cat", image, "/etc/resolv.conf")
        lines = self.run(*command).splitlines()
        return "".join(f"{line}\n" for line in lines if line.startswith("nameserver"))

    def start_host(self, spec: HostSpec) -> None:
        """Create the host and boot it; `wait_ready` tells when it is up."""
        options = ["--name", spec.name, "--hostname", spec.name, "--label", spec.label]
        options += ["--privileged", "--cgroupns=private", "--stop-signal=SIGRTMIN+3", "--restart=on-failure"]
        options += ["--network", spec.network]
        options += ["--ip", spec.address] if spec.address else []
        options += ["--memory", spec.memory, "--memory-swap", spec.memory] if spec.memory else []
        for outside, inside in spec.publish:
            options += ["--publish", f"127.0.0.1:{outside}:{inside}"]
        for path in spec.volumes:
            options += [
                "--mount",
                f"type=volume,src={spec.volume(path)},dst={path},volume-label={spec.label}",
            ]
        if spec.resolv_conf:
            options += ["--mount", f"type=bind,src={spec.resolv_conf},dst=/etc/resolv.conf,readonly"]
        self.run("create", *options, spec.image)
        files = {path.lstrip("/"): (text.encode(), mode) for path, (text, mode) in spec.files.items()}
        self.run("cp", "-", f"{spec.name}:/", stdin=make_tar(files))
        self.run("start", spec.name)

    def wait_ready(self, name: str, timeout_s: int = BOOT_TIMEOUT_S) -> str:
        """Wait until the host has booted and sshd listens; return its ed25519 public key."""
        return self.run("exec", name, "sh", "-c", READY, "sh", str(timeout_s), HOST_KEY, timeout_s=timeout_s + 10)  # fmt: skip

    def state(self, name: str) -> str:
        """`running`, `exited`, `created` or another word of docker's; empty if there is no such container."""
        return self.run("ps", "--all", "--format", "{{.State}}", "--filter", f"name=^{name}$")

    def labelled(self, label: str) -> dict[str, list[str]]:
        """The names of everything with a label (`key` or `key=value`), by kind; nothing of a kind, no entry."""
        found = {
            "container": self.run("ps", "--all", "--format", "{{.Names}}", "--filter", f"label={label}"),
            "volume": self.run("volume", "ls", "--quiet", "--filter", f"label={label}"),
            "network": self.run("network", "ls", "--format", "{{.Name}}", "--filter", f"label={label}"),
            "image": self.run("images", "--quiet", "--filter", f"label={label}"),
        }
        return {kind: sorted(set(names.split())) for kind, names in found.items() if names}

    def remove_labelled(self, label: str) -> dict[str, list[str]]:
        """Remove everything with a label; return the names of what is gone."""
        commands = {
            "container": ("rm", "--force", "--volumes"),
            "volume": ("volume", "rm", "--force"),
            "network": ("network", "rm"),
            "image": ("rmi", "--force"),
        }
        found = self.labelled(label)
        for kind, names in found.items():
            self.run(*commands[kind], *names)
        return found

    def _docker(self, args: tuple[str, ...], stdin: bytes | None, timeout_s: float) -> bytes:
        shown = " ".join(("docker", *args[:2]))
        try:
            done = subprocess.run(
                ["docker", *args],
                env={**os.environ, **self.env}, input=stdin, capture_output=True, timeout=timeout_s, check=False,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise PreflightError(
                "a throwaway host needs a container engine, and there is no docker command",
                remedy="install docker (Debian: `apt install docker.io`), and run the same command again",
            ) from error
        except subprocess.TimeoutExpired as error:
            raise StepFailed(f"{shown} gave no answer within {timeout_s:.0f} s") from error
        if done.returncode != 0:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise StepFailed(f"{shown} failed with exit code {done.returncode}", cause="\n".join(lines[-20:]))
        return done.stdout


def make_tar(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """A tar of files that belong to root, by path: (content, mode)."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, (content, mode) in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def free_port(preferred: int) -> int:
    """This port of the loopback address, or any free one when something listens there."""
    for wanted in (preferred, 0):
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise StepFailed("no free port on 127.0.0.1")
