"""Unpacks a stranger's tar stream into a fresh directory, and nowhere else.

Not `tarfile.extractall`: its filters came with Python 3.12 and late updates of 3.11, and paths checked as
text can be turned by a symlink of the same archive. Here every step down a path is opened below the
directory before it, without following links.
"""

from __future__ import annotations

import os
import posixpath
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, Protocol, cast

from .refusal import Refused

MAX_HEADER = 64 << 10  # a long name or a pax header is read into memory as a whole; Linux takes names of 4 KB
MAX_SEALED = 1000  # directories that nobody may write into, whose modes wait for the end
MAX_DEPTH = 200
PIECE = 1 << 20
_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class _Member(tarfile.TarInfo):
    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.type in _HEADERS and self.size > MAX_HEADER:
            raise Refused("context", f"the build context has a header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def unpack(stream: Readable, root: str, max_bytes: int, max_files: int, stamp_ns: int) -> int:
    """Unpack a tar stream into the empty directory `root`; return the bytes of its files.

    + max_bytes, max_files: above one of them the context is refused at the first header that says so
    + stamp_ns: 0 to 999,999,999, replaces the part below a second of every file's time. BuildKit takes
      a file of a context for the one it already holds, from whatever repository, when path, size, mode
      and time agree (one `local.sharedKey` for all callers); a number that is new for each build
      keeps one repository's files out of another's image. Layer caching looks at contents only.

    Owners are not kept: BuildKit resets them. Symlinks are kept as they are, and never followed.
    Raises Refused for a device, a fifo, a path or hard link out of the context, and for garbage.
    """
    total = files = 0
    top = os.open(root, _DIRECTORY)
    sealed: dict[str, int] = {}
    try:
        with tarfile.open(
            fileobj=cast(IO[bytes], stream), mode="r|", tarinfo=_Member, bufsize=PIECE
        ) as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # tarfile remembers every member it has seen,
                archive.pax_headers = {}  # and every key of every global header
                files += 1
                total += member.size if member.isreg() else 0
                if files > max_files:
                    raise Refused("context-files", f"the build context has more than {max_files} files")
                if total > max_bytes:
                    raise Refused("context-size", f"the build context is larger than {max_bytes >> 20} MB")
                _place(archive, member, top, stamp_ns, sealed)
        for name in sorted(sealed, reverse=True):
            with _parent(top, name) as (parent, last):
                _be_directory(last, parent, sealed[name])
    except (tarfile.TarError, OSError, ValueError, RecursionError, EOFError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise Refused("context", f"the build context cannot be unpacked: {error}") from None
    finally:
        os.close(top)
    return total


def _place(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    top: int,
    stamp_ns: int,
    sealed: dict[str, int],
) -> None:
    name = _inside(member.name)
    if not name:
        return  # the context's own directory
    mode = stat.S_IMODE(member.mode)
    time_ns = min(max(int(member.mtime), 0), 1 << 33) * 1_000_000_000 + stamp_ns
    with _parent(top, name, make=True) as (parent, last), _time_kept(parent):
        if member.isdir():
            with suppress(FileExistsError):
                os.mkdir(last, 0o700, dir_fd=parent)
            _be_directory(last, parent, mode | 0o700, time_ns)
            if mode & 0o700 != 0o700:
                sealed[name] = mode
                if len(sealed) > MAX_SEALED:
                    raise Refused(
                        "context", f"the build context has more than {MAX_SEALED} read-only directories"
                    )
            return
        _clear(last, parent)
        if member.issym():
            os.symlink(member.linkname, last, dir_fd=parent)
            os.utime(last, ns=(time_ns, time_ns), dir_fd=parent, follow_symlinks=False)
        elif member.islnk():
            with _parent(top, _inside(member.linkname)) as (source, target):
                os.link(target, last, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        elif member.isreg() and not member.issparse():
            _write(archive, member, last, parent, mode, time_ns)
        else:
            raise Refused(
                "context", f"{member.name[:200]!r} in the build context is no file, directory or link"
            )


def _write(
    archive: tarfile.TarFile, member: tarfile.TarInfo, last: str, parent: int, mode: int, time_ns: int
) -> None:
    source = archive.extractfile(member)
    assert source is not None
    with os.fdopen(os.open(last, _NEW_FILE, 0o600, dir_fd=parent), "wb", buffering=0) as file:
        left = member.size
        while left:
            piece = source.read(min(left, PIECE))
            if not piece:
                raise EOFError(f"it ends inside {member.name[:200]!r}")
            file.write(piece)
            left -= len(piece)
        os.fchmod(file.fileno(), mode)
        os.utime(file.fileno(), ns=(time_ns, time_ns))


def _be_directory(last: str, parent: int, mode: int, time_ns: int | None = None) -> None:
    here = os.open(last, _DIRECTORY, dir_fd=parent)
    try:
        os.fchmod(here, mode)
        if time_ns is not None:
            os.utime(here, ns=(time_ns, time_ns))
    finally:
        os.close(here)


@contextmanager
def _time_kept(directory: int) -> Iterator[None]:
    """A directory's own time came with its member, and what is placed in it would change it: 300,000 of them, with long
    names, are too many to remember until the end."""
    time_ns = os.fstat(directory).st_mtime_ns
    yield
    os.utime(directory, ns=(time_ns, time_ns))


def _clear(last: str, parent: int) -> None:
    """A later member replaces an earlier one of the same name; a directory stays and is an error."""
    with suppress(FileNotFoundError):
        os.unlink(last, dir_fd=parent)


def _inside(name: str) -> str:
    if name.startswith("/") or "\0" in name or ".." in name.split("/"):
        raise Refused("context", f"{name[:200]!r} in the build context leads out of it")
    path = posixpath.normpath(name)
    if path.count("/") > MAX_DEPTH:
        raise Refused("context", f"the build context is deeper than {MAX_DEPTH} directories")
    return "" if path == "." else path


@contextmanager
def _parent(top: int, name: str, make: bool = False) -> Iterator[tuple[int, str]]:
    """Yield (file descriptor of the directory that holds `name`, last part of `name`)."""
    *above, last = name.split("/")
    here = os.dup(top)
    try:
        for part in above:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=here)
            below = os.open(part, _DIRECTORY, dir_fd=here)
            os.close(here)
            here = below
        yield here, last
    finally:
        os.close(here)
