"""What the door does with a built image in containerd: protect it, push it, let it go."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from datetime import datetime
from pathlib import Path

from ...push_lock import LONGEST_PUSH_S
from .config import DoorConfig

PIN = "io.cri-containerd.pinned"  # the kubelet's image GC skips an image with this label (containerd internal/cri)
BUILT = "binderbox.io/built"  # the digest that was built here: our own record, on the image itself
KIND = "io.cri-containerd.kind"
STEP = re.compile(r"[a-z0-9]{25}")
COMMAND_S = 60


class ContainerdError(Exception):
    """A command failed; the text holds its last words."""


def authorization(config: DoorConfig) -> str:
    """The header by which the registry knows the door, from the node's secrets as they are now."""
    user, password = (
        Path(file).read_text().strip() for file in (config.registry_user_file, config.registry_password_file)
    )
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


class Images:
    """Images of containerd by name, through the `ctr` that comes with the node's Kubernetes."""

    def __init__(self, config: DoorConfig) -> None:
        self._config = config
        self._hosts = Path(config.state_dir, "hosts")

    def pin(self, tag: str, digest: str) -> None:
        """Keep it from image GC, and note that it was built here, which stays when it is let go."""
        self._ctr(["images", "label", tag, f"{PIN}=pinned", f"{BUILT}={digest}"], COMMAND_S)

    def unpin(self, tag: str) -> None:
        self._ctr(["images", "label", tag, f"{PIN}="], COMMAND_S)

    def digest(self, tag: str) -> str:
        """Return the digest an image name points to, or an empty text if there is no such image."""
        for line in self._ctr(["images", "list", f'name=="{tag}"'], COMMAND_S).splitlines()[1:]:
            name, _, digest = line.split()[:3]
            if name == tag:
                return digest
        return ""

    def built(self) -> dict[str, str]:
        """Name to digest of every image that was built here and is still what it was."""
        lines = self._ctr(["images", "list", f'labels."{BUILT}"'], COMMAND_S).splitlines()[1:]
        rows = (line.split() for line in lines)
        return {row[0]: row[2] for row in rows if f"{BUILT}={row[2]}" in row[-1].split(",")}

    def pinned(self) -> set[str]:
        """Names of all images that carry the pin."""
        return set(self._ctr(["images", "list", "-q", f'labels."{PIN}"==pinned'], COMMAND_S).split())

    def steps_since(self) -> dict[str, float]:
        """Of BuildKit's containers, one a step, when each was made, in seconds since 1970.

        They have a name of BuildKit's form (identity.NewID) and none of the labels that the kubelet's have.
        """
        kinds = (f'labels."{KIND}"!={kind}' for kind in ("container", "sandbox"))
        found = self._ctr(["containers", "list", "-q", ",".join(kinds)], COMMAND_S).split()
        return {one: self._made(one) for one in found if STEP.fullmatch(one)}

    def _made(self, container: str) -> float:
        said = json.loads(self._ctr(["containers", "info", container], COMMAND_S))
        text = re.sub(
            r"\.\d+", "", str(said["CreatedAt"]).replace("Z", "+00:00")
        )  # Python 3.10 reads no nanoseconds
        return datetime.fromisoformat(text).timestamp()

    def layers(self, digest: str) -> dict[str, int]:
        """Digest and compressed bytes of each layer of the image manifest with this digest."""
        manifest = json.loads(self._ctr(["content", "get", digest], COMMAND_S))
        return {str(one["digest"]): int(one["size"]) for one in manifest.get("layers", ())}

    def push(self, tag: str) -> None:
        """Push to the registry, with its credential read afresh from the node's secrets.

        The credential goes into a root-only file that ctr reads, because arguments can be seen by everybody.
        """
        self._write_hosts()
        self._ctr(["images", "push", "--hosts-dir", str(self._hosts), tag], LONGEST_PUSH_S)

    def _write_hosts(self) -> None:
        text = (
            f'[host."{self._config.registry_url}"]\n'
            '  capabilities = ["pull", "resolve", "push"]\n'
            f'  [host."{self._config.registry_url}".header]\n'
            f'    Authorization = "{authorization(self._config)}"\n'
        )
        directory = self._hosts / self._config.registry
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = directory / f"hosts.toml.{os.getpid()}"
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        partial.rename(directory / "hosts.toml")

    @property
    def ctr(self) -> tuple[str, ...]:
        """The words before those of a command, of which none is secret."""
        return (
            *self._config.ctr,
            f"--address={self._config.containerd_socket}",
            f"--namespace={self._config.containerd_namespace}",
        )

    def _ctr(self, words: list[str], timeout_s: int) -> str:
        command = [*self.ctr, *words]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                errors="replace",
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ContainerdError(f"ctr {' '.join(words[:2])}: {error}") from None
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:]  # warnings about the node come before it
            raise ContainerdError(f"ctr {' '.join(words[:2])}: {last[0][-400:] if last else done.returncode}")
        return done.stdout
