"""A host as the rest of binderbox sees it: run, read, write, upload, forward. `deploying` and `lock` do more with one.

    with connect("root@host.example") as host:
        host.run(["systemctl", "is-active", "k3s"]).text

Everything runs as root. Each call costs one round trip on the open
connection unless its docstring says otherwise; `round_trips` counts them.
Errors: ConnectError (and HostKeyUnknown, SudoRefused) from `connect`; ConnectionLost, StepFailed, BundleError later.
"""

from __future__ import annotations

import hashlib
import io
import os
import shlex
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from binderbox import layout
from binderbox.errors import BundleError, StepFailed
from binderbox.output.requests import Connection as Wanted
from binderbox.world.host.runlog import RunLog, log_path
from binderbox.world.ssh.connection import Connection
from binderbox.world.ssh.destination import Destination, parse_destination
from binderbox.world.ssh.shell import Output
from binderbox.world.ssh.sudo import Password
from binderbox.world.ssh.transfer import (
    SMALL,
    UPLOAD_S_PER_MB,
    WRONG_SUM,
    pieces,
    upload_script,
    write_script,
)

ABSENT = 44  # exit code of our own scripts for "no such file"
RUN_S = 120.0  # a command without a limit of its own is given up after this


@dataclass
class Host:
    """An open connection to a host; made by `connect`."""

    destination: Destination
    connection: Connection
    log: RunLog
    given_address: str | None = None
    _undo: list[Callable[[], None]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The host's name as the user gave it, without user and port."""
        return self.destination.name

    @property
    def address(self) -> str:
        """Where this client reaches the host: what the user said, else where ssh went; "" if that is nowhere direct."""
        return self.given_address or self.connection.address

    @property
    def round_trips(self) -> int:
        """How often the client waited for the host so far."""
        return self.connection.round_trips

    def hide(self, *values: str | bytes) -> None:
        """Never show these values in logs, errors or diffs."""
        self.log.hide(*values)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout_s: float | None = RUN_S,
        work: bool = False,
    ) -> Output:
        """Run a command; a non-zero exit code is the caller's to judge (124: `timeout_s` was over).

        `work=True` for what changes the host: it ends properly even when this client is killed.
        """
        return self.sh(shlex.join(argv), stdin=stdin, timeout_s=timeout_s, work=work)

    def sh(
        self, script: str, *, stdin: bytes | None = None, timeout_s: float | None = RUN_S, work: bool = False
    ) -> Output:
        """Run sh text (dash); like `run`."""
        output = self.connection.run(script, stdin=stdin, timeout_s=timeout_s, work=work)
        shown = script if len(script) < 500 else f"{script[:500]} ..."
        self.log.write(f"$ {shown}\n[{output.code}] {output.tail(20) if output.code else ''}")
        return output

    def read(self, path: str) -> bytes | None:
        """A file's content, None when there is none; what lies under the secrets directory is hidden from logs."""
        output = self.connection.run(f'f={shlex.quote(path)}; [ -e "$f" ] || exit {ABSENT}; cat "$f"')
        if output.code == ABSENT:
            return None
        if not output.ok:
            raise StepFailed(f"{self.name}: cannot read {path}", cause=output.tail(), log=self.log.path)
        if path.startswith(layout.SECRETS):
            self.hide(output.stdout)
        return output.stdout

    def write(self, path: str, data: bytes, mode: int = 0o644) -> bool:
        """Make `path` have this content and mode, owned by root, replaced as a whole; True if it changed anything."""
        if path.startswith(layout.SECRETS):
            self.hide(data)
        script = write_script(path, hashlib.sha256(data).hexdigest(), mode)
        limit = RUN_S + UPLOAD_S_PER_MB * len(data) / 1e6
        if len(data) <= SMALL:
            output = self.connection.run(script, stdin=data, timeout_s=limit, work=True)
        else:
            output = self.connection.session(script, stdin=pieces(io.BytesIO(data)), timeout_s=limit)
        if not output.ok:
            raise StepFailed(f"{self.name}: cannot write {path}", cause=output.tail(), log=self.log.path)
        self.log.write(f"write {path} mode {mode:o}, {len(data)} bytes: {output.text.strip()}")
        return output.stdout.strip() == b"changed"

    def upload(self, source: Path, path: str, sha256: str, mode: int = 0o644) -> None:
        """Stream a large file to the host; it appears at `path` whole and with this checksum, or not at all.

        What an interrupted upload left is replaced. Costs a session of its own.
        """
        size = source.stat().st_size
        with source.open("rb") as file:
            script = upload_script(path, sha256, mode)
            limit = RUN_S + UPLOAD_S_PER_MB * size / 1e6
            output = self.connection.session(script, stdin=pieces(file), timeout_s=limit)
        self.log.write(f"upload {source} to {path}, {size} bytes\n[{output.code}] {output.tail()}")
        if output.code == WRONG_SUM:
            raise BundleError(
                f"{self.name}: {source.name} did not arrive as expected",
                cause=f"expected sha256 {sha256}, {output.tail(1)}",
                remedy="run the same command again",
                log=self.log.path,
            )
        if not output.ok:
            raise StepFailed(f"{self.name}: cannot upload {path}", cause=output.tail(), log=self.log.path)

    @contextmanager
    def forward(self, remote: int | str) -> Iterator[tuple[str, int]]:
        """A TCP port of this machine (127.0.0.1, number) that leads to the host's.

        `remote` is a port of the host's loopback, `address:port` as seen from the host, or a unix socket's path.
        """
        with _free_port() as port:
            local = f"127.0.0.1:{port}"
        with self._forwarded(remote, local):
            yield "127.0.0.1", port

    @contextmanager
    def forward_socket(self, remote: int | str) -> Iterator[Path]:
        """Like `forward`, but the near end is a unix socket that only this user can reach."""
        path = Path(self.connection.directory) / f"f{len(os.listdir(self.connection.directory))}"
        with self._forwarded(remote, str(path)):
            yield path
        path.unlink(missing_ok=True)

    def close(self) -> None:
        """End the connection."""
        self.connection.close()
        self.log.close()

    @contextmanager
    def _forwarded(self, remote: int | str, local: str) -> Iterator[None]:
        far = f"127.0.0.1:{remote}" if isinstance(remote, int) else remote
        cancel = self.connection.forward(far, local)
        try:
            yield
        finally:
            cancel()


@contextmanager
def connect(
    destination: str,
    *,
    ssh_config: Path | None = None,
    sudo_password: Password = None,
    address: str | None = None,
) -> Iterator[Host]:
    """Log in to HOST and become root; the connection ends with the block.

    `address` is the host's own as seen from here, for those that no public name leads to.
    `sudo_password` is used only if sudo asks: text, or a function that asks for it (called at most once).
    """
    where = parse_destination(destination, ssh_config)
    connection = Connection(where, sudo_password).open()
    host = Host(where, connection, RunLog(log_path(where.name)), address)
    host.log.write(f"connected to {where.text}")
    try:
        yield host
    finally:
        host.close()


@contextmanager
def reached(where: Wanted) -> Iterator[Host]:
    """`connect`, as a request asks for it."""
    with connect(
        where.host, ssh_config=where.ssh_config, sudo_password=where.sudo_password, address=where.address
    ) as host:
        yield host


@contextmanager
def _free_port() -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield int(free.getsockname()[1])
