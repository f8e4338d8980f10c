"""A root connection to one host over the system's OpenSSH.

Short commands go through one open shell (`shell.py`), everything that streams through a session of its own over the
same master (`sshmaster.py`). If the login is not root, the shell itself is started by sudo, once: with a password,
it is written to sudo's stdin only, never to an argument, a file, the environment or a log.
Raises ConnectError, HostKeyUnknown, SudoRefused before anything ran, and ConnectionLost afterwards.
"""

from __future__ import annotations

import base64
import secrets
import shlex
import threading
import time
from collections.abc import Callable, Iterable
from typing import Literal

from binderbox import layout
from binderbox.errors import ConnectError, ConnectionLost, SudoRefused
from binderbox.world.destination import Destination
from binderbox.world.shell import PREAMBLE, Output, Shell, ShellGone
from binderbox.world.sshmaster import Master, end
from binderbox.world.talk import Talk, start

Sudo = Literal["root", "nopass", "pass"]
Password = str | Callable[[], str] | None

SHELL_STDIN_MAX = 48 * 1024  # above this, input goes through a session of its own
COMMAND_MAX = 120_000  # Linux takes at most 131072 bytes in one argument (MAX_ARG_STRLEN)
GRACE_S = 20  # what the network may add to a command's own limit before the connection counts as lost
MARK = "END-OF-BINDERBOX-INPUT"
SHELL_S = 60  # for the first answer of the remote shell


class Connection:
    """An open root shell and its master; close it with `close` or use it as a context manager."""

    def __init__(
        self, destination: Destination, sudo_password: Password = None, run_dir: str = layout.RUN
    ) -> None:
        self.destination = destination
        self.run_dir = run_dir
        self.round_trips = 0
        self.lock_descriptors = (
            ""  # sh text that makes a session of its own hold the host's lock too (lock.py)
        )
        self._password = sudo_password
        self._master = Master(destination)
        self._sudo: Sudo = "root"
        self._shell: Shell | None = None
        self._shell_talk: Talk | None = None
        self._counter = threading.Lock()

    def open(self) -> Connection:
        """Log in and become root."""
        try:
            self._master.open()
            self._shell = Shell(self._become_root())
            self.shell(PREAMBLE, timeout_s=SHELL_S)
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """End shell, sessions, forwards and master; remote work that still runs is left to finish."""
        if self._shell:
            self._shell.close()
        if self._shell_talk:
            end(self._shell_talk.process)
        self._master.close()

    def __enter__(self) -> Connection:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def usable(self) -> bool:
        """Whether the open shell can take another command."""
        return self._shell is not None and self._shell.usable

    def shell(self, script: str, *, timeout_s: float | None = None) -> Output:
        """Run complete sh text in the open shell; it must not read stdin, and sets the shell's own state."""
        if self._shell is None:
            raise ConnectError(f"{self.destination.name}: the connection is not open")
        self._count()
        try:
            return self._shell.run(script, timeout_s=timeout_s)
        except ShellGone as gone:
            raise self.lost("the remote shell ended or no longer answers") from gone

    def run(
        self,
        command: str,
        *,
        stdin: bytes | None = None,
        timeout_s: float | None = None,
        work: bool = False,
    ) -> Output:
        """Run sh text that may be anything, in a child of the open shell.

        With `work` the output goes through files on the host, so that the command ends properly even when this
        client is killed in the middle: for everything that changes the host. Exit code 124 means that `timeout_s`
        was over.
        """
        bound = f"timeout -k 5 {timeout_s:g} " if timeout_s else ""
        guard = timeout_s + GRACE_S if timeout_s else None
        if stdin is not None and len(stdin) > SHELL_STDIN_MAX:
            return self.session(
                f"{bound}sh -c {shlex.quote(command)}; exit $?", stdin=[stdin], timeout_s=timeout_s
            )
        line = f"{bound}sh -c {shlex.quote(command)}"
        if len(command) > COMMAND_MAX:
            line = f"{bound}sh /dev/fd/3 3<<'{MARK}'\n{command}\n{MARK}\n"
        given = "</dev/null"
        if stdin is not None:
            line, given = f"base64 -d | {line}", f"<<'{MARK}'\n{_base64(stdin)}\n{MARK}\n"
        if work:
            text = (
                f"( mkdir -p {self.run_dir}; d=$(mktemp -d {self.run_dir}/work.XXXXXX) || exit 1\n"
                f"{{ {line}\n}} >$d/o 2>$d/e {given}\n"
                "r=$?; cat $d/o; cat $d/e >&2; rm -rf $d; exit $r )"
            )
        else:
            text = f"{{ {line}\n}} {given}"
        return self.shell(text, timeout_s=guard)

    def session(
        self, command: str, *, stdin: Iterable[bytes] | None = None, timeout_s: float | None = None
    ) -> Output:
        """Run sh text as root in an ssh session of its own, with `stdin` streamed to it."""
        self._count()
        nonce = secrets.token_hex(8)
        script = f"{PREAMBLE}; {self.lock_descriptors}\n{command}"
        talk = start(self._master.session(self._root_line(script, nonce)))
        deadline = time.monotonic() + timeout_s + GRACE_S if timeout_s else None
        try:
            if self._sudo == "pass":
                self._answer_sudo(talk, nonce, time.monotonic() + SHELL_S)
            talk.send(stdin or [], last=True)
            talk.drain(deadline)
            code = talk.process.wait(5)
        except TimeoutError as late:
            raise self.lost(f"no end within {timeout_s} s") from late
        finally:
            talk.close()
            end(talk.process)
        if code == 255 and not self._master.alive():
            raise self.lost("the session broke")
        return Output(code, bytes(talk.out), bytes(talk.err))

    def forward(self, remote: str, local: str) -> Callable[[], None]:
        """Open a forward through the master: `local` and `remote` as ssh's -L takes them. Returns its undoing."""
        done = self._master.control("forward", "-L", f"{local}:{remote}")
        if done.returncode != 0:
            raise ConnectError(
                f"{self.destination.name}: ssh opened no forward to {remote}", cause=done.stderr.strip()
            )
        return lambda: self._cancel(f"{local}:{remote}")

    def background(self, command: str) -> Talk:
        """Start sh text as root in a session of its own and leave it running; the caller closes it."""
        nonce = secrets.token_hex(8)
        talk = start(self._master.session(self._root_line(f"{PREAMBLE}\n{command}", nonce)))
        if self._sudo == "pass":
            self._answer_sudo(talk, nonce, time.monotonic() + SHELL_S)
        return talk

    @property
    def directory(self) -> str:
        """The run's private directory on this machine, for forwarded sockets."""
        return str(self._master.directory)

    def lost(self, what: str) -> ConnectionLost:
        """The error for a connection that broke."""
        return ConnectionLost(
            f"{self.destination.name}: the connection was lost: {what}",
            cause=self._master.last_words(wait_s=2) or "ssh gave no reason",
            remedy=f"compare with: {self.destination.plain}\nthen run the same command again, it continues",
        )

    def _count(self) -> None:
        with self._counter:
            self.round_trips += 1

    def _cancel(self, forward: str) -> None:
        self._master.control("cancel", "-L", forward)

    def _become_root(self) -> Talk:
        """Start the open shell and find out how this account becomes root."""
        nonce = secrets.token_hex(8)
        script = (
            f'if [ "$(id -u)" = 0 ]; then echo {nonce}-root >&2; exec sh; fi; '
            f"command -v sudo >/dev/null 2>&1 || {{ echo {nonce}-nosudo >&2; exit 1; }}; "
            f"if sudo -n true 2>/dev/null; then echo {nonce}-nopass >&2; exec sudo -n -H sh; fi; "
            f'exec sudo -S -k -p {nonce}-ask -H sh -c "echo {nonce}-pass >&2; exec sh"'
        )
        talk = self._shell_talk = start(self._master.session(f"exec sh -c {shlex.quote(script)}"))
        self._sudo = self._answer_sudo(talk, nonce, time.monotonic() + SHELL_S)
        return talk

    def _root_line(self, script: str, nonce: str) -> str:
        quoted = shlex.quote(script)
        if self._sudo == "root":
            return f"exec sh -c {quoted}"
        if self._sudo == "nopass":
            return f"exec sudo -n -H sh -c {quoted}"
        marked = shlex.quote(f"echo {nonce}-pass >&2\n{script}")
        return f"exec sudo -S -k -p {nonce}-ask -H sh -c {marked}"

    def _answer_sudo(self, talk: Talk, nonce: str, deadline: float) -> Sudo:
        """Wait for the word that says how we became root; give sudo its password if it asks."""
        ask, asked = f"{nonce}-ask".encode(), False
        ways: tuple[Sudo, ...] = ("root", "nopass", "pass")
        while True:
            for way in ways:
                word = f"{nonce}-{way}\n".encode()
                if word in talk.err:
                    del talk.err[: talk.err.index(word) + len(word)]
                    return way
            if f"{nonce}-nosudo".encode() in talk.err:
                raise self._sudo_refused("this account is not root, and there is no sudo")
            if ask in talk.err:
                if asked:
                    raise self._sudo_refused("sudo did not take the password")
                del talk.err[: talk.err.index(ask) + len(ask)]
                asked = True
                talk.send([f"{self._ask_password()}\n".encode()])
            try:
                if not talk.pump(deadline):
                    raise self._sudo_refused(_last_line(talk.err.replace(ask, b"")))
            except TimeoutError as late:
                raise ConnectError(
                    f"{self.destination.name}: logged in, but no shell answers",
                    cause=f"no answer in {SHELL_S} s; a start-up file of the remote shell may be waiting",
                    remedy=f"compare with: {self.destination.plain}",
                ) from late

    def _ask_password(self) -> str:
        if callable(self._password):
            self._password = self._password()
        if not self._password:
            raise self._sudo_refused("sudo wants a password, and none was given")
        return self._password

    def _sudo_refused(self, reason: str) -> ConnectError:
        if not self._master.alive():
            return ConnectError(
                f"{self.destination.name}: the connection broke before a shell answered",
                cause="\n".join(filter(None, [self._master.last_words(), reason])),
                remedy=f"compare with: {self.destination.plain}",
            )
        return SudoRefused(
            f"{self.destination.name}: cannot become root",
            cause=reason or "the remote shell ended at once",
            remedy="give the account sudo (without a password, or with BINDERBOX_SUDO_PASSWORD), or log in as root",
        )


def _base64(data: bytes) -> str:
    return base64.encodebytes(data).decode().rstrip("\n")


def _last_line(text: bytes | bytearray) -> str:
    lines = bytes(text).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
