"""Reads a bbolt database that another program holds open and writes, as BuildKit does its own. Standard library only.

No lock is taken. bbolt never writes onto a page that its newest meta page leads to: what a transaction lets go is written onto
by the next one, once its own meta page is there (go.etcd.io/bbolt tx.go, db.go, internal/freelist). So what was read is one
state of the database wherever the newest meta page is the same afterwards; else it is read again.

The form is that of bbolt's file format 2 (internal/common: page.go, meta.go, bucket.go), on a machine that is little-endian,
as all are for which there is a k3s.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

MAGIC, VERSION = 0xED0CDAED, 2
# Magic, version, page size, flags, root, sequence, freelist, pages, transaction, checksum.
META = struct.Struct("<IIIIQQQQQQ")
PAGE = struct.Struct("<QHHI")  # number, kind, count, pages beyond the first
BRANCH_OF = struct.Struct("<IIQ")  # position, key's size, page
LEAF_OF = struct.Struct("<IIII")  # kind, position, key's size, value's size
BUCKET = struct.Struct("<QQ")  # root's page or 0, sequence
BRANCH, LEAF = 1, 2
IS_BUCKET = 1
DEEPEST = 32
TRIES = 20
LARGEST = 64 << 20  # bytes of one page; a broken one may say anything

Found = TypeVar("Found")


class Unreadable(Exception):
    """The file is no database that is understood here, or it is written faster than it can be read."""


@dataclass(frozen=True)
class _Meta:
    page_bytes: int
    root: int
    transaction: int


class State:
    """One state of the database. A bucket is named by its path of names."""

    def __init__(self, file: int, meta: _Meta) -> None:
        self._file = file
        self._meta = meta

    def items(self, bucket: Sequence[bytes], prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Keys that begin so, with their values, in order, without buckets; nothing of a bucket that is not there."""
        page = self._page(self._meta.root)
        for name in bucket:
            found = next((value for _, key, value in self._below(page, name) if key == name), None)
            if found is None:
                return
            root, _ = BUCKET.unpack_from(found)
            page = self._page(root) if root else found[BUCKET.size :]
        yield from ((key, value) for kind, key, value in self._below(page, prefix) if not kind & IS_BUCKET)

    def _below(self, page: bytes, prefix: bytes, depth: int = 0) -> Iterator[tuple[int, bytes, bytes]]:
        """Kind, key and value of what begins so."""
        _, kind, count, _ = PAGE.unpack_from(page)
        if depth > DEEPEST or kind not in (BRANCH, LEAF):
            raise Unreadable(f"a page of kind {kind} at depth {depth}")
        if kind == LEAF:
            for at in range(PAGE.size, PAGE.size + count * LEAF_OF.size, LEAF_OF.size):
                kind, position, key_bytes, value_bytes = LEAF_OF.unpack_from(page, at)
                key = page[at + position :][:key_bytes]
                if key.startswith(prefix):
                    yield kind, key, page[at + position + key_bytes :][:value_bytes]
            return
        children = []
        for at in range(PAGE.size, PAGE.size + count * BRANCH_OF.size, BRANCH_OF.size):
            position, key_bytes, number = BRANCH_OF.unpack_from(page, at)
            children.append((page[at + position :][:key_bytes], number))
        for (first, number), after in zip(children, [*children[1:], None], strict=True):
            if after and after[0] < prefix:
                continue
            if first > prefix and not first.startswith(prefix):
                return
            yield from self._below(self._page(number), prefix, depth + 1)

    def _page(self, number: int) -> bytes:
        size = self._meta.page_bytes
        page = _read(self._file, size, number * size)
        found, _, _, beyond = PAGE.unpack_from(page)
        if found != number or beyond * size > LARGEST:
            raise Unreadable(f"page {number} says that it is {found}")
        return page + _read(self._file, beyond * size, (number + 1) * size) if beyond else page


def look(path: Path, read: Callable[[State], Found]) -> Found:
    """What `read` finds in one state of the database; it is called again where that has gone meanwhile. Raises Unreadable."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Unreadable(str(error)) from None
    try:
        for _ in range(TRIES):
            meta = _newest(file)
            try:
                found, fault = read(State(file, meta)), None
            except (Unreadable, struct.error, ValueError, KeyError, TypeError, OSError) as error:
                fault = error
            if _newest(file) == meta:
                if fault:
                    raise Unreadable(f"{path}: {fault!r}") from fault
                return found
    except (OSError, struct.error) as error:
        raise Unreadable(f"{path}: {error!r}") from None
    finally:
        os.close(file)
    raise Unreadable(f"{path} was written to each of {TRIES} times that it was read")


def _newest(file: int) -> _Meta:
    """The meta page of the last transaction that was written whole; there are two, in turns."""
    first = _meta(file, 0)
    size = first.page_bytes if first else os.sysconf("SC_PAGE_SIZE")
    found = [one for one in (first, _meta(file, size)) if one]
    if not found:
        raise Unreadable("no meta page is whole")
    return max(found, key=lambda one: one.transaction)


def _meta(file: int, at: int) -> _Meta | None:
    raw = _read(file, META.size, at + PAGE.size)
    magic, version, page_bytes, _, root, _, _, _, transaction, checksum = META.unpack(raw)
    if (magic, version) != (MAGIC, VERSION) or checksum != _fnv(raw[:-8]) or not 512 <= page_bytes <= 1 << 16:
        return None
    return _Meta(page_bytes, root, transaction)


def _fnv(text: bytes) -> int:
    """FNV-1a of 64 bits."""
    value = 0xCBF29CE484222325
    for byte in text:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def _read(file: int, size: int, at: int) -> bytes:
    found = os.pread(file, size, at)
    if len(found) != size:
        raise Unreadable(f"it ends before {at + size}")
    return found
