"""The program as a user runs it, in an empty directory with a home of its own: in this process, or in one of its own."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from binderbox.cli import main

PROGRAM = [sys.executable, "-c", "import sys; from binderbox.cli import main; sys.exit(main())"]


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def binderbox(cwd: Path, *args: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> Done:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BINDERBOX_")}
    home = {"HOME": str(cwd), "XDG_STATE_HOME": str(cwd / "state")}
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd),
        patch.dict(os.environ, clean | home | (env or {}), clear=True),
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = main(args)
    return Done(code, out.getvalue(), err.getvalue())
