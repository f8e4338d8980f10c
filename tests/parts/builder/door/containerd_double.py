"""containerd's API for snapshots and content, by gRPC's own server: a name once, no parent that is not there, the labels of the mask
alone, and nothing without a namespace, as the real one has it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc

NAMESPACE = "k8s.io"
Fields = list[tuple[int, bytes]]


class Refused(Exception):
    def __init__(self, code: grpc.StatusCode, why: str) -> None:
        super().__init__(why)
        self.code = code


class Containerd(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types of its own
    """`snapshots` and `content` are what it has; `down` methods it does not answer; `asked` all that came, in order."""

    def __init__(self, socket: str) -> None:
        self.snapshots: dict[str, dict[str, Any]] = {}
        self.content: dict[str, dict[str, str]] = {}
        self.down: set[str] = set()
        self.asked: list[str] = []
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers((self,))
        self._server.add_insecure_port(f"unix:{socket}")
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait()

    def service(self, details: Any) -> Any:
        def answer(request: bytes, context: Any) -> bytes:
            try:
                if dict(details.invocation_metadata).get("containerd-namespace") != NAMESPACE:
                    raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "namespace is required")
                with self._lock:
                    self._do(details.method, fields(request))
            except Refused as refused:
                context.abort(refused.code, str(refused))
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)

    def _do(self, method: str, said: Fields) -> None:
        service, _, verb = method.removeprefix("/containerd.services.").rpartition("/")
        name = f"{service.partition('.')[0]} {verb.lower()}"
        self.asked.append(name)
        if name in self.down:
            raise Refused(grpc.StatusCode.UNAVAILABLE, "error reading from server: connection refused")
        text = {number: value.decode() for number, value in said if not value.startswith(b"\n")}
        if service == "snapshots.v1.Snapshots" and text.get(1) != "overlayfs":
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"snapshotter not loaded: {text.get(1)}")
        match name:
            case "snapshots stat":
                self._one(text[2])
            case "snapshots prepare":
                self._new(text[2])
                self._one(text[3])
                self.snapshots[text[2]] = {"parent": text[3], "kind": "Active", "labels": labels(said, 4)}
            case "snapshots commit":
                self._new(text[2])
                self.snapshots[text[2]] = self._one(text[3]) | {
                    "kind": "Committed",
                    "labels": labels(said, 4),
                }
                del self.snapshots[text[3]]
            case "snapshots remove":
                self._one(text[2])
                if any(one["parent"] == text[2] for one in self.snapshots.values()):
                    raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "cannot remove snapshot with child")
                del self.snapshots[text[2]]
            case "snapshots update":
                info = fields(dict(said)[2])
                self._label(self._one(dict(info)[1].decode())["labels"], labels(info, 6), dict(said)[3])
            case "content update":
                info = fields(dict(said)[1])
                digest = dict(info)[1].decode()
                if digest not in self.content:
                    raise Refused(grpc.StatusCode.NOT_FOUND, f"content {digest}: not found")
                self._label(self.content[digest], labels(info, 5), dict(said)[2])
            case _:
                raise Refused(grpc.StatusCode.UNIMPLEMENTED, f"unknown method {method}")

    def _one(self, name: str) -> dict[str, Any]:
        if name not in self.snapshots:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"snapshot {name} does not exist: not found")
        return self.snapshots[name]

    def _new(self, name: str) -> None:
        if name in self.snapshots:
            raise Refused(grpc.StatusCode.ALREADY_EXISTS, f"snapshot {name}: already exists")

    def _label(self, has: dict[str, str], given: dict[str, str], mask: bytes) -> None:
        for _, path in fields(mask):
            kind, _, label = path.decode().partition(".")
            if kind != "labels":
                raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"cannot update {path.decode()}")
            has[label] = given.get(label, "")
            if not has[label]:
                del has[label]


def fields(data: bytes) -> Fields:
    """A message of Protocol Buffers whose fields all have a length."""
    return list(_fields(memoryview(data)))


def _fields(left: memoryview) -> Iterator[tuple[int, bytes]]:
    while left:
        key, left = _varint(left)
        if key & 7 != 2:
            malformed(f"wire type {key & 7}")
        size, left = _varint(left)
        if size > len(left):
            malformed(f"{size} bytes, and {len(left)} are there")
        yield key >> 3, bytes(left[:size])
        left = left[size:]


def _varint(left: memoryview) -> tuple[int, memoryview]:
    value = shift = 0
    for place, byte in enumerate(left):
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, left[place + 1 :]
    malformed("a number without an end")


def malformed(why: str) -> NoReturn:
    raise Refused(grpc.StatusCode.INTERNAL, f"proto: cannot parse invalid wire-format data: {why}")


def labels(said: Fields, number: int) -> dict[str, str]:
    """A map of text to text."""
    entries = (dict(fields(value)) for field, value in said if field == number)
    return {one[1].decode(): one[2].decode() for one in entries}
