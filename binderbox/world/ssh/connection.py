"""A root connection to one host over the system's OpenSSH.

Short commands go through one open shell (`shell.py`), everything that streams through a session of its own over the
same master (`sshmaster.py`). If the login is not root, sudo starts the shell, once (`sudo.py`).
Raises ConnectError, HostKeyUnknown, SudoRefused before anything ran, and ConnectionLost afterwards.
"""

from __future__ import annotations

import base64
import secrets
import shlex
import threading
import time
from collections.abc import Callable, Iterable

from binderbox import layout
from binderbox.errors import ConnectError, ConnectionLost, SudoRefused
from binderbox.patience import patient
from binderbox.world.ssh import sudo
from binderbox.world.ssh.destination import Destination
from binderbox.world.ssh.lanes import Lanes
from binderbox.world.ssh.master import Master, end
from binderbox.world.ssh.shell import PREAMBLE, Output, Shell, ShellGone
from binderbox.world.ssh.sudo import Password, Way
from binderbox.world.ssh.talk import Talk, start

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
        self.way: Way = "root"  # how the login becomes root
        self._shell: Shell | None = None
        self._shell_talk: Talk | None = None
        self._lanes: Lanes | None = None
        self._lane_talks: list[Talk] = []
        self._counter = threading.Lock()

    def open(self) -> Connection:
        """Log in and become root."""
        try:
            self._master.open()
            self._shell = Shell(self._become_root())
            self._lanes = Lanes(self._shell, self._open_lane)
            self.shell(PREAMBLE, timeout_s=SHELL_S)
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """End shells, sessions, forwards and master; remote work that still runs is left to finish."""
        if self._lanes:
            self._lanes.close()
        for talk in self._lane_talks:
            end(talk.process)
        if self._shell:
            self._shell.close()
        if self._shell_talk:
            end(self._shell_talk.process)
        self._master.close()

    def comes_in_anew(self) -> str:
        """Log in by another connection, and end it; why that did not get as far as the ssh server, or ""."""
        another = Master(self.destination)
        try:
            another.open(ask=False)
        except ConnectError as error:
            return "" if "Permission denied" in error.cause else error.cause.splitlines()[0]
        finally:
            another.close()
        return ""

    def __enter__(self) -> Connection:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        """Where ssh went, a name or an address; "" if a proxy led there."""
        return self._master.address

    @property
    def usable(self) -> bool:
        """Whether the open shell can take another command."""
        return self._shell is not None and self._shell.usable

    def shell(self, script: str, *, timeout_s: float | None = None) -> Output:
        """Run complete sh text in the open shell; it must not read stdin, and sets the shell's own state."""
        if self._shell is None:
            raise ConnectError(f"{self.destination.name}: the connection is not open")
        return self._in(self._shell, script, patient(timeout_s) if timeout_s else None)

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
        bound = f"timeout -k 5 {patient(timeout_s):g} " if timeout_s else ""
        line = f"{bound}sh -c {shlex.quote(command)}"
        if len(command) > COMMAND_MAX:
            line = f"{bound}sh /dev/fd/3 3<<'{MARK}'\n{command}\n{MARK}\n"
        if stdin is not None and len(stdin) > SHELL_STDIN_MAX:
            whole = self._kept(line, "") if work else line
            return self.session(f"{whole}\nexit $?", stdin=[stdin], timeout_s=timeout_s)
        given = "</dev/null"
        if stdin is not None:
            line, given = f"base64 -d | {line}", f"<<'{MARK}'\n{_base64(stdin)}\n{MARK}\n"
        limit_s = timeout_s + GRACE_S if timeout_s else None
        if work or self._lanes is None:
            return self.shell(
                self._kept(line, given) if work else f"{{ {line}\n}} {given}", timeout_s=limit_s
            )
        with self._lanes.one() as shell:
            return self._in(shell, f"{{ {line}\n}} {given}", patient(limit_s) if limit_s else None)

    def session(
        self, command: str, *, stdin: Iterable[bytes] | None = None, timeout_s: float | None = None
    ) -> Output:
        """Run sh text as root in an ssh session of its own, with `stdin` streamed to it."""
        self._count()
        # before it stands what a start-up file of the account prints
        mark = f"{secrets.token_hex(16)}\n".encode()
        talk = self.background(f"echo {mark.decode().strip()}\n{self.lock_descriptors}\n{command}")
        deadline = time.monotonic() + patient(timeout_s) + GRACE_S if timeout_s else None
        try:
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
        if code == 255 and not talk.err:  # e.g. the server's MaxSessions is used up
            talk.err.extend(self._master.last_words().encode())
        return Output(code, bytes(talk.out).rpartition(mark)[2], bytes(talk.err))

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
        word = secrets.token_hex(8)
        talk = start(self._master.session(sudo.line(self.way, f"{PREAMBLE}\n{command}", word)))
        if self.way == "pass":
            self._answer_sudo(talk, word)
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

    def _in(self, shell: Shell, script: str, timeout_s: float | None) -> Output:
        self._count()
        try:
            return shell.run(script, timeout_s=timeout_s)
        except ShellGone as gone:
            raise self.lost("the remote shell ended or no longer answers") from gone

    def _open_lane(self) -> Shell:
        talk = self.background("exec sh")
        self._lane_talks.append(talk)
        shell = Shell(talk)
        shell.run(PREAMBLE, timeout_s=patient(SHELL_S))
        return shell

    def _count(self) -> None:
        with self._counter:
            self.round_trips += 1

    def _cancel(self, forward: str) -> None:
        self._master.control("cancel", "-L", forward)

    def _kept(self, line: str, given: str) -> str:
        """sh text: run `line` with its output in files, print them after it; nothing depends on a reader."""
        return (
            f"( [ -d {self.run_dir} ] || mkdir -p {self.run_dir}; d=$(mktemp -d {self.run_dir}/work.XXXXXX) || exit 1\n"
            f"{{ {line}\n}} >$d/o 2>$d/e {given}\n"
            "r=$?; [ ! -s $d/o ] || cat $d/o; [ ! -s $d/e ] || cat $d/e >&2; rm -rf $d; exit $r )"
        )

    def _become_root(self) -> Talk:
        """Start the open shell and find out how this account becomes root."""
        word = secrets.token_hex(8)
        talk = self._shell_talk = start(self._master.session(sudo.opening(word)))
        self.way = self._answer_sudo(talk, word)
        return talk

    def _answer_sudo(self, talk: Talk, word: str) -> Way:
        try:
            return sudo.answer(talk, word, self._ask_password, patient(SHELL_S))
        except sudo.NoAnswer as late:
            raise ConnectError(
                f"{self.destination.name}: logged in, but no shell answers",
                cause=f"no answer in {SHELL_S} s; a start-up file of the remote shell may be waiting",
                remedy=f"compare with: {self.destination.plain}",
            ) from late
        except sudo.OtherCommand as other:
            raise ConnectError(
                f"{self.destination.name}: logged in, and the host runs a command of its own in place of ours",
                cause="\n".join(str(other).splitlines()[:5]),
                remedy="log in with the account that it names (USER@HOST), or take `command=` from the key's line in "
                f"authorized_keys; compare with: {self.destination.plain}",
            ) from other
        except sudo.Refused as refused:
            raise self._refusal(str(refused)) from refused

    def _ask_password(self) -> str | None:
        if callable(self._password):
            self._password = self._password()
        return self._password

    def _refusal(self, reason: str) -> ConnectError:
        if not self._master.alive():
            return ConnectError(
                f"{self.destination.name}: the connection broke before a shell answered",
                cause="\n".join(filter(None, [self._master.last_words(), reason])),
                remedy=f"compare with: {self.destination.plain}",
            )
        return SudoRefused(
            f"{self.destination.name}: cannot become root",
            cause=reason,
            remedy="give the account sudo (without a password, or with BINDERBOX_SUDO_PASSWORD), or log in as root",
        )


def _base64(data: bytes) -> str:
    return base64.encodebytes(data).decode().rstrip("\n")
