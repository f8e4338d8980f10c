"""What `bundle verify` does: looks through a bundle, and changes nothing."""

from __future__ import annotations

from binderbox.artifacts.resolve import parse_lock
from binderbox.commands.bundle import inside
from binderbox.commands.bundle.telling import phase, result_of
from binderbox.errors import BundleError
from binderbox.output.progress import Progress
from binderbox.output.requests import BundleRequest
from binderbox.output.results import BundleResult
from binderbox.world.bundle import read_lock


def verify(request: BundleRequest, progress: Progress) -> BundleResult:
    """Hold every file against the lock, and the inside of every image archive; raises BundleError with all faults."""
    text = read_lock(request.directory)
    entries = parse_lock(text)
    with phase(progress, "Look through the bundle") as counts:
        if found := inside.faults(request.directory, entries):
            raise BundleError(
                "\n".join(found),
                cause=f"{request.directory} is not what its lock says; nothing of it should be used",
                remedy=f"copy it again from where it was made; there: binderbox bundle create {request.directory} "
                "fetches anew what is wrong",
            )
        counts.unchanged = len(entries)
    return result_of(request.directory, text, {}, changed=False)
