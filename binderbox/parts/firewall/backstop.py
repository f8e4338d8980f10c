"""Owns the tables that no flush takes away; run on the node as a unit of its own, from before the network to the end.

A table with nftables' `owner` flag belongs to the netlink socket that made it. Nobody else can flush, change or delete
it, and it goes when the socket is closed, so this program makes it and stays. A file that changes is loaded again. A
file whose rules name a cgroup is loaded once that cgroup is there, and again for each new one of that name, which is
then told in a file beside the others of its kind: who lives in the cgroup waits for that.

The `nft` program has no way to stay, so libnftables is called. Standard library only: the node's own Python runs it.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from binderbox.parts.systemd import notify

LOOK_S = 0.2
Known = tuple[int, int]


class Nft:
    """One socket to the kernel, for as long as this lives. Raises OSError with nft's own words."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libnftables.so.1")
        self._library.nft_ctx_new.restype = ctypes.c_void_p
        self._library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
        self._context = ctypes.c_void_p(self._library.nft_ctx_new(0))
        self._library.nft_ctx_buffer_error(self._context)

    def run(self, text: str) -> None:
        if self._library.nft_run_cmd_from_buffer(self._context, text.encode()):
            said = self._library.nft_ctx_get_error_buffer(self._context) or b""
            raise OSError(said.decode(errors="replace").strip() or "nft refused it and does not say why")


@dataclass
class Table:
    """A file that makes one table, and the cgroup that its rules name, if any."""

    file: Path
    cgroup: Path | None = None
    loaded: Known | None = None
    refused: Known | None = None

    def wanted(self) -> Known | None:
        """Which file and which cgroup there are now; None while one of them is not there."""
        try:
            return self.file.stat().st_mtime_ns, self.cgroup.stat().st_ino if self.cgroup else 0
        except OSError:
            return None


def load(nft: Nft, table: Table, told: Path) -> None:
    """Make the kernel's table what the file says, where it is not; a failure is told once and tried on."""
    wanted = table.wanted()
    if wanted is None or wanted == table.loaded:
        return
    try:
        nft.run(table.file.read_text(encoding="utf-8"))
    except OSError as error:
        if wanted != table.refused:
            print(f"{table.file}: {error}", file=sys.stderr, flush=True)
        table.refused = wanted
        return
    table.loaded = wanted
    if table.cgroup:
        beside = told / f"{table.file.stem}.new"
        beside.write_text(f"{wanted[1]}\n")
        os.replace(beside, told / table.file.stem)
    print(f"{table.file}: loaded", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="own the tables that no flush takes away")
    parser.add_argument("--table", required=True, type=Path, metavar="FILE")
    parser.add_argument("--for-cgroup", nargs=2, action="append", default=[], metavar=("CGROUP", "FILE"))
    parser.add_argument("--told", required=True, type=Path, help="where each cgroup's inode is written")
    given = parser.parse_args(argv)
    nft, ready = Nft(), False
    tables = [Table(given.table), *(Table(Path(file), Path(group)) for group, file in given.for_cgroup)]
    while True:
        for table in tables:
            load(nft, table, given.told)
        if not ready and tables[0].loaded:
            notify("READY=1")
            ready = True
        time.sleep(LOOK_S)


if __name__ == "__main__":
    main()
