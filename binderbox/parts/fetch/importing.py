"""The images of an archive that lies in k3s's folder, waited for: k3s imports what is put there while it runs.

A pod whose image is not there yet would be tried again after ten seconds, then twenty, and so on to five minutes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from binderbox.parts.fetch.fetching import FetchFailed
from binderbox.parts.fetch.pulling import PINNED, PULL_S, ctr

# Since anything was imported: k3s takes one archive after another, minutes each on a slow disk. It notes the files that it
# finds at its start, and what is put there just then it may have taken for imported (pkg/agent/containerd/watcher.go).
K3S_S = 300
EVERY_S = 0.5


def imported(archive: str, names: Sequence[str]) -> None:
    """Have all of these here; what k3s does not import within K3S_S is imported from the archive, or FetchFailed raised."""
    here, since = _here(), time.monotonic()
    while not here.issuperset(names):
        if time.monotonic() - since > K3S_S:
            ctr("images", "import", "--label", PINNED, archive, timeout_s=PULL_S)
            if missing := set(names) - _here():
                raise FetchFailed(f"{archive}: has no image {', '.join(sorted(missing))}")
            return
        time.sleep(EVERY_S)
        before, here = here, _here()
        if here - before:
            since = time.monotonic()


def _here() -> set[str]:
    """None while containerd does not answer: k3s may be starting anew."""
    try:
        return set(ctr("images", "list", "--quiet").split())
    except FetchFailed:
        return set()
