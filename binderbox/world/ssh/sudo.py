"""How a login becomes root: it is root, sudo asks nothing, or sudo asks for a password on its stdin.

Everything is marked with a random word on stderr, so that the password is sent only when sudo itself has asked for
it, and never reaches a command's input. It stands in no argument, file, environment or log.
"""

from __future__ import annotations

import base64
import shlex
import time
from collections.abc import Callable
from typing import Literal

from binderbox.world.ssh.talk import Talk

Way = Literal["root", "nopass", "pass"]
Password = str | Callable[[], str] | None
# What is encoded grows by a third, and an argument has at most 131072 bytes (MAX_ARG_STRLEN).
ENCODED_MAX = 90_000
WAYS: tuple[Way, ...] = ("root", "nopass", "pass")


class Refused(Exception):
    """sudo said no; the text is the reason."""


class OtherCommand(Exception):
    """Something else than our command ran: a forced command of the key, or a login shell that is none; its words."""


class NoAnswer(Exception):
    """Nothing was said in time, or the connection ended."""


def opening(word: str) -> str:
    """The command that opens a root shell and says on stderr which way it took."""
    script = (
        f'if [ "$(id -u)" = 0 ]; then echo {word}-root >&2; exec sh; fi; '
        f"command -v sudo >/dev/null 2>&1 || {{ echo {word}-nosudo >&2; exit 1; }}; "
        f"if sudo -n true 2>/dev/null; then echo {word}-nopass >&2; exec sudo -n -H sh; fi; "
        f'exec sudo -S -k -p {word}-ask -H sh -c "echo {word}-pass >&2; exec sh"'
    )
    return f"exec sh -c {shlex.quote(script)}"


def line(way: Way, script: str, word: str) -> str:
    """The command that runs sh text as root, by a way that is known already.

    The account's own shell reads it first, and csh takes no line break within quotes: so the text goes in one word.
    """
    if len(script) < ENCODED_MAX:
        script = f'eval "$(echo {base64.b64encode(script.encode()).decode()} | base64 -d)"'
    if way == "root":
        return f"exec sh -c {shlex.quote(script)}"
    if way == "nopass":
        return f"exec sudo -n -H sh -c {shlex.quote(script)}"
    marked = shlex.quote(f"echo {word}-pass >&2; {script}")
    return f"exec sudo -S -k -p {word}-ask -H sh -c {marked}"


def answer(talk: Talk, word: str, password: Callable[[], str | None], limit_s: float) -> Way:
    """Wait until a way is told, and give sudo the password if it asks. Raises Refused, OtherCommand, NoAnswer."""
    deadline = time.monotonic() + limit_s
    ask, asked = f"{word}-ask".encode(), False
    while True:
        for way in WAYS:
            told = f"{word}-{way}\n".encode()
            if told in talk.err:
                del talk.err[: talk.err.index(told) + len(told)]
                return way
        if f"{word}-nosudo".encode() in talk.err:
            raise Refused("this account is not root, and there is no sudo")
        if ask in talk.err:
            if asked:
                raise Refused("sudo did not take the password")
            del talk.err[: talk.err.index(ask) + len(ask)]
            asked = True
            secret = password()
            if not secret:
                raise Refused("sudo wants a password, and none was given")
            talk.send([f"{secret}\n".encode()])
        try:
            if not talk.pump(deadline):
                if said := bytes(talk.out).strip():
                    raise OtherCommand(said.decode(errors="replace"))
                raise Refused(_last_line(bytes(talk.err).replace(ask, b"")))
        except TimeoutError as late:
            raise NoAnswer from late


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "the remote shell ended at once"
