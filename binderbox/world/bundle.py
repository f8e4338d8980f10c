"""Bundles on the client's disk: a directory with artifacts and the lock that lists them."""

from __future__ import annotations

from pathlib import Path

from binderbox.artifacts.resolve import LOCK_NAME
from binderbox.errors import BundleError


def read_lock(bundle: Path) -> str:
    """The lock's text; raises BundleError where there is none."""
    try:
        return (bundle / LOCK_NAME).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(
            f"{bundle} is no bundle",
            cause=f"{LOCK_NAME} cannot be read: {error}",
            remedy=f"give a directory that holds one; binderbox bundle create {bundle} makes one of an empty one",
        ) from error
