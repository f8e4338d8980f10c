"""The images of an archive that lies in k3s's folder: waited for, as k3s imports what is put there while it runs, and unpacked.

A pod whose image is not there yet would be tried again after ten seconds, then twenty, and so on to five minutes. k3s does not
unpack what it imports (client.Import): that is done here, not while somebody waits, and because the name of an unpacked layer
is one that no stranger's image can take any more (docs/decisions/bases-claim.md).
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from binderbox import layout
from binderbox.parts.fetch.fetching import FetchFailed, alone
from binderbox.parts.fetch.pulling import PINNED, PULL_S, ctr, digest_of, is_whole

# Since anything was imported: k3s takes one archive after another, minutes each on a slow disk. It notes the files that it
# finds at its start, and what is put there just then it may have taken for imported (pkg/agent/containerd/watcher.go).
K3S_S = 300
AT_MOST = 6  # times that: builds bring new names all the time
EVERY_S = 0.5


def imported(archive: str, names: Sequence[str], every_s: float = EVERY_S) -> None:
    """Have all of these here, whole; what k3s does not import within K3S_S is imported from the archive, or FetchFailed raised.

    + every_s: between two looks, each of which is a program's start
    """
    with alone(f"{layout.FETCH_RUN}/{os.path.basename(archive)}.lock"):
        _imported(archive, names, every_s)


def _imported(archive: str, names: Sequence[str], every_s: float) -> None:
    if not _waited_for(names, every_s):
        _import(archive)
        if missing := set(names) - _here():
            raise FetchFailed(f"{archive}: has no image {', '.join(sorted(missing))}")
    for name in names:
        if not is_whole(name):
            _unpack(archive, name)


def _waited_for(names: Sequence[str], every_s: float) -> bool:
    here = _here()
    began = since = time.monotonic()
    while not here.issuperset(names):
        if time.monotonic() > min(since + K3S_S, began + AT_MOST * K3S_S):
            return False
        time.sleep(every_s)
        found = _here()
        if found - here:
            since = time.monotonic()
        here = found or here
    return True


def _unpack(archive: str, name: str) -> None:
    try:
        ctr("snapshots", "unpack", digest_of(name), timeout_s=PULL_S)
    except FetchFailed:  # a power cut has left the name without its content
        _import(archive)
        ctr("snapshots", "unpack", digest_of(name), timeout_s=PULL_S)


def _import(archive: str) -> None:
    ctr("images", "import", "--no-unpack", "--label", PINNED, archive, timeout_s=PULL_S)


def _here() -> set[str]:
    """None while containerd does not answer: k3s may be starting anew."""
    try:
        return set(ctr("images", "list", "--quiet").split())
    except FetchFailed:
        return set()
