"""What hosts that are reached by ssh alone have in common: commands as root, and the wait for another boot."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable

from binderbox.errors import StepFailed


def run_as_root(words: list[str], command: str, *, stdin: bytes | None, timeout_s: float, name: str) -> str:
    """Run sh text by an ssh line whose user is root, or becomes it; its stdout. Raises StepFailed with its stderr."""
    done = subprocess.run(
        [*words, command], input=stdin or b"", capture_output=True, timeout=timeout_s, check=False
    )
    if done.returncode:
        raise StepFailed(f"{name}: {command[:200]} failed", cause=done.stderr.decode())
    return done.stdout.decode()


def wait_other_boot(
    booted_at: Callable[[], str], since: str, within_s: float, why: Callable[[], str] = str
) -> None:
    """Wait until the host answers and its boot is not `since`; raises StepFailed with what `why` says."""
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(StepFailed, subprocess.TimeoutExpired):
            if booted_at() != since:
                return
        if time.monotonic() > deadline:
            raise StepFailed(f"no other boot within {within_s:.0f} s", cause=why())
        time.sleep(1)
