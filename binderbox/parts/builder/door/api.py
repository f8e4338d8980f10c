"""What the door asks of containerd's own API (containerd 2, api/services): snapshots, and labels on content.

All that is sent is text and maps of text; the numbers of fields are those of its `.proto` files.
"""

from __future__ import annotations

import time

from .config import DoorConfig
from .containerd import COMMAND_S, ContainerdError
from .rpc import RpcError, call

SNAPSHOTTER = "overlayfs"
ROOT = "containerd.io/gc.root"  # on a snapshot: it is nobody's to take away, as what `ctr` makes has it
SNAPSHOTS = "/containerd.services.snapshots.v1.Snapshots"
CONTENT = "/containerd.services.content.v1.Content"


# google.rpc.Code
NOT_FOUND, ALREADY_EXISTS = "5", "6"


class NotThere(ContainerdError):
    """There is nothing of this name."""


class AlreadyThere(ContainerdError):
    """There is something of this name."""


class Api:
    """Each call raises ContainerdError, whose text is containerd's where it has answered."""

    def __init__(self, config: DoorConfig) -> None:
        self._socket = config.containerd_socket
        self._namespace = config.containerd_namespace

    def stat(self, name: str) -> None:
        """Return if there is a snapshot of the name."""
        self._call(f"{SNAPSHOTS}/Stat", text(1, SNAPSHOTTER) + text(2, name))

    def prepare(self, key: str, parent: str) -> None:
        """Make a snapshot that can be written into, on top of `parent`, and hold it."""
        message = text(1, SNAPSHOTTER) + text(2, key) + text(3, parent) + entry(4, ROOT, _now())
        self._call(f"{SNAPSHOTS}/Prepare", message)

    def commit(self, name: str, key: str) -> None:
        """Give what was prepared under `key` the name from which it is used; it is held still."""
        message = text(1, SNAPSHOTTER) + text(2, name) + text(3, key) + entry(4, ROOT, _now())
        self._call(f"{SNAPSHOTS}/Commit", message)

    def remove(self, key: str) -> None:
        self._call(f"{SNAPSHOTS}/Remove", text(1, SNAPSHOTTER) + text(2, key))

    def let_go(self, name: str) -> None:
        """Leave a snapshot to containerd's own rules."""
        info = text(1, name) + entry(6, ROOT, "")
        message = text(1, SNAPSHOTTER) + part(2, info) + part(3, text(1, f"labels.{ROOT}"))
        self._call(f"{SNAPSHOTS}/Update", message)

    def label_content(self, digest: str, name: str, value: str) -> None:
        """Label a blob."""
        info = text(1, digest) + entry(5, name, value)
        self._call(f"{CONTENT}/Update", part(1, info) + part(2, text(1, f"labels.{name}")))

    def _call(self, method: str, message: bytes) -> None:
        verb = method.rpartition("/")[2].lower()
        try:
            call(self._socket, method, message, {"containerd-namespace": self._namespace}, COMMAND_S)
        except OSError as error:
            raise ContainerdError(f"containerd, {verb}: {error}") from None
        except RpcError as error:
            kind = {NOT_FOUND: NotThere, ALREADY_EXISTS: AlreadyThere}.get(error.code, ContainerdError)
            raise kind(f"containerd, {verb}: {str(error)[-400:]}") from None


def part(field: int, data: bytes) -> bytes:
    """A field of Protocol Buffers whose value has a length: text, or a message of its own."""
    return _number(field << 3 | 2) + _number(len(data)) + data


def text(field: int, value: str) -> bytes:
    return part(field, value.encode())


def entry(field: int, name: str, value: str) -> bytes:
    """An entry of a map of text to text."""
    return part(field, text(1, name) + text(2, value))


def _number(value: int) -> bytes:
    low, high = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _number(high) if high else bytes([low])


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
