"""Commands on the node: bounded in time, their words kept for the error, the node's lock held by what they start."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from urllib.parse import urlencode

from binderbox import layout
from binderbox.parts.helm.release import ENVIRONMENT, HELM, KUBECTL

ASK_S = 30
held: list[int] = []  # descriptors of the node's lock: whoever outlives us goes on holding it


class CommandFailed(Exception):
    """A command ended with another code than 0, or not in time; the text has its last words."""


def run(words: Sequence[str], *, timeout_s: float = 60, stdin: str | None = None) -> str:
    """Run a command and return its stdout; raises CommandFailed."""
    try:
        done = subprocess.run(
            list(words),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            pass_fds=tuple(held),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"{_name(words)}: not done within {timeout_s:.0f} s") from error
    except OSError as error:
        raise CommandFailed(f"{_name(words)}: {error}") from error
    if done.returncode:
        raise CommandFailed(f"{_name(words)}: exit code {done.returncode}: {last_words(done.stderr)}")
    return done.stdout


def last_words(stderr: str) -> str:
    """Why a command failed, without the log lines of its libraries: their times would make each failure a new one."""
    lines = stderr.strip().splitlines()
    said = [line for line in lines if not line.startswith('time="')]
    return "\n".join(said or lines)[-600:]


def helm(*words: str, timeout_s: float = 120) -> str:
    return run(["env", *ENVIRONMENT, HELM, *words], timeout_s=timeout_s)


def kubectl(*words: str, timeout_s: float = 60, stdin: str | None = None) -> str:
    return run([*KUBECTL.split(), *words], timeout_s=timeout_s, stdin=stdin)


def ask(path: str, **query: str) -> str:
    """What the API server answers at a path, with the node's own credential; raises CommandFailed."""
    words = [*layout.API_CURL, "--max-time", str(ASK_S), f"{layout.API}{path}?{urlencode(query)}"]
    return run(words, timeout_s=ASK_S + 5)


def _name(words: Sequence[str]) -> str:
    """Enough of a command to know it; what follows may be long, and secrets never stand in arguments."""
    shown = [word for word in words if "=" not in word][:4]
    return " ".join(shown)[:120]
