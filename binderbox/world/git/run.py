"""git as a program: asked nothing by it, and without the caller's own git variables."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from binderbox.errors import DeployRepoError

COMMAND_S = 60


def run(
    args: Sequence[str],
    *,
    stdin: bytes = b"",
    more: Mapping[str, str] | None = None,
    timeout_s: float = COMMAND_S,
) -> subprocess.CompletedProcess[bytes]:
    """Run git, without asking anybody anything and without the caller's own git variables."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in KEPT}
    fixed = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    try:
        return subprocess.run(
            ["git", *args],
            input=stdin,
            env={**given, **fixed, **(more or {})},
            capture_output=True,
            timeout=timeout_s,
        )
    except FileNotFoundError as error:
        raise DeployRepoError(
            "git is not installed here; nothing was written", remedy="install git"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise DeployRepoError(
            f"`git {args[0]}` did not end within {timeout_s:.0f} s; nothing was written"
        ) from error


KEPT = {
    *(f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL", "DATE")),
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
}
