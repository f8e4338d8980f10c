"""The sh texts that put a file in its place on the host: as a whole, checked, by rename, or not at all.

Each reads the content from stdin. A temporary file lies beside the target, has mode 0600 until it is complete, and is
removed by the script itself when the input stops early.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from typing import IO, Any

SMALL = 32 * 1024  # a file up to this size travels inside the open shell
UPLOAD_S_PER_MB = 4.0  # a slow uplink moves 0.25 MB/s
WRONG_SUM = 3  # exit code of `upload_script` for another checksum

# Each program that is started costs the host a millisecond or more, and an install puts a hundred files.
_TEMPORARY = """\
case $f in */*) ;; *) f=./$f ;; esac
t=$(mktemp "${f%/*}/.bbx-XXXXXX") || exit 1; trap 'rm -f "$t"' EXIT
"""
_IN_PLACE = 'sync "$t" && mv -fT "$t" "$f" && trap - EXIT'
_MADE_WITH = 0o600  # by mktemp


def write_script(path: str, sha256: str, mode: int) -> str:
    """Make the file have this content and mode, owned by root; prints `same` or `changed`."""
    return (
        f"f={shlex.quote(path)}; s={shlex.quote(sha256)}; m={mode:o}\n"
        '[ -f "$f" ] && [ ! -L "$f" ] && [ "$(stat -c %a:%U:%G "$f")" = "$m:root:root" ] && '
        'set -- $(sha256sum <"$f") && [ "$1" = "$s" ] && { echo same; exit 0; }\n'
        'd=$(dirname "$f"); [ -d "$d" ] || mkdir -p "$d" || exit 1\n'
        f"umask 077; {_TEMPORARY}"
        'cat >"$t" && set -- $(sha256sum <"$t") && [ "$1" = "$s" ] || { echo "arrived incomplete" >&2; exit 1; }\n'
        f'chmod "$m" "$t" && {_IN_PLACE} && echo changed'
    )


def put_script(path: str, mode: int | None, size: int) -> str:
    """Make the file have this content if all of it came; without a mode an existing file keeps mode and owner."""
    final = 'if [ -e "$f" ]; then chown --reference="$f" "$t"; chmod --reference="$f" "$t"; else chmod 644 "$t"; fi'
    if mode is not None:
        final = ":" if mode == _MADE_WITH else f'chmod {mode:o} "$t"'
    return (
        f'f={shlex.quote(path)}; [ ! -L "$f" ] || f=$(readlink -f "$f") || exit 1\n'
        f"umask 077; {_TEMPORARY}"
        f'cat >"$t" && [ "$(stat -c %s "$t")" = {size} ] || {{ echo "arrived incomplete" >&2; exit 1; }}\n'
        f"{final} && {_IN_PLACE}"
    )


def upload_script(path: str, sha256: str, mode: int) -> str:
    """Make the file have this content if its checksum is right; what an earlier run left half is replaced."""
    return (
        f'f={shlex.quote(path)}; d=$(dirname "$f"); mkdir -p "$d" || exit 1; t="$d/.upload-$(basename "$f")"; umask 077\n'
        f'cat >"$t" && set -- $(sha256sum <"$t") && [ "$1" = {shlex.quote(sha256)} ] || {{\n'
        f'  echo "arrived with sha256 $1" >&2; rm -f "$t"; exit {WRONG_SUM}; }}\n'
        f'chmod {mode:o} "$t" && sync "$t" && mv -fT "$t" "$f"'
    )


def size_of(file: IO[Any]) -> int:
    """A seekable file's size in bytes; it is at its start afterwards."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    return end


def pieces(file: IO[Any]) -> Iterator[bytes]:
    """A file's content, a megabyte at a time."""
    while piece := file.read(1 << 20):
        yield piece.encode() if isinstance(piece, str) else piece
