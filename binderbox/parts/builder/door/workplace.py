"""Where a build's context is unpacked: a directory for each build, gone with it."""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .config import DoorConfig
from .stream import ContextStream
from .unpack import unpack

CONTEXT_WITHIN_S = 900.0  # 2 GB at 2 MB a second: a pod and its node are one machine


@dataclass(frozen=True)
class Workplace:
    """The places of one build; `home` is buildctl's, where it finds no credential but the operator's for docker.io.

    `trace` is a pipe.
    """

    context: Path
    home: Path
    metadata: Path
    trace: Path


class Workplaces:
    """All of them lie below one directory of the door's own."""

    def __init__(self, config: DoorConfig) -> None:
        self._config = config
        self._contexts = Path(config.state_dir, "contexts")
        self._taken: set[Path] = set()

    def clear(self) -> None:
        """Begin anew, without what a killed door left behind."""
        self._contexts.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.sweep()

    def sweep(self) -> None:
        """Take away what is no build's any more: a disk that fails for a moment leaves what it was to remove."""
        with suppress(FileNotFoundError):  # before the first start has made it
            for path in set(self._contexts.iterdir()) - self._taken:
                shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def one(self) -> Iterator[Workplace]:
        place = self._contexts / secrets.token_hex(8)
        self._taken.add(place)
        try:
            place.mkdir(mode=0o700)
            made = Workplace(place / "context", place / "home", place / "metadata.json", place / "trace")
            made.context.mkdir()
            made.home.mkdir()
            self._give_login(made.home)
            yield made
        finally:
            shutil.rmtree(place, ignore_errors=True)
            self._taken.discard(place)

    def _give_login(self, home: Path) -> None:
        """buildctl answers BuildKit with it for docker.io alone; no step and no Dockerfile sees it."""
        try:
            login = Path(self._config.docker_login_file).read_text().strip()
        except FileNotFoundError:
            return
        auth = {"auth": base64.b64encode(login.encode()).decode()}
        (home / "config.json").write_text(json.dumps({"auths": {"https://index.docker.io/v1/": auth}}))

    def receive(self, pod: socket.socket, into: Workplace) -> int:
        """Unpack the context that a pod sends, within the config's ceilings; its size in bytes."""
        config = self._config
        ceiling = config.max_context_mb << 20
        stream = ContextStream(
            pod, ceiling + config.max_context_files * 2048, config.idle_s, CONTEXT_WITHIN_S
        )
        size = unpack(stream, str(into.context), ceiling, config.max_context_files, secrets.randbelow(10**9))
        stream.finish()
        return size
