"""One authenticated ssh connection per run, kept open as a ControlMaster and shared by everything else.

The control socket lies in a directory of this run's own (mode 0700). ssh logs into a file there, so that its own
words never mix with a command's stderr, and a refused connection can be explained from a single attempt. The master
ends by itself PERSIST_S seconds after its last session, so a killed client leaves nothing for long; a dead network
is noticed after ALIVE_S * ALIVE_COUNT seconds. Raises ConnectError, HostKeyUnknown.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from binderbox.errors import ConnectError, HostKeyUnknown
from binderbox.patience import patient
from binderbox.world.ssh.destination import Destination

PREFIX = "bbx-ssh-"
PERSIST_S = 30
ALIVE_S, ALIVE_COUNT = 5, 9  # a machine that swaps or waits for its disk is silent for longer than 15 s
CONNECT_S = 20  # for TCP and the banner; a firewall that drops packets must not look like a hang
LOGIN_S = 45  # for the whole login without a terminal; sshd's own LoginGraceTime is 120
PROMPT_S = 300  # with a terminal: somebody may be typing a passphrase or touching a key


class Master:
    """The shared connection; `session` gives the argument list of an ssh that runs a command over it."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_short_directory()))
        _sweep(self.directory.parent)
        self.socket = self.directory / "m"
        self.log = self.directory / "ssh.log"
        self.address = ""  # where ssh went, a name or an address; "" if another machine or program led there
        self.proxy = ""  # the words of the user's config that lead over another machine or program

    def open(self, *, ask: bool = True) -> None:
        """Log in. Prompts (passphrase, touch) only on a terminal, and only if `ask`; a host key is never asked about."""
        terminal = ask and sys.stdin.isatty() and sys.stderr.isatty()
        limit = PROMPT_S if terminal else patient(LOGIN_S)
        try:
            options = self._options(terminal)
            done = subprocess.run(
                [*self.destination.ssh, *options, "-M", "-N", "-f", "--", self.destination.text],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL if not terminal else None,
                timeout=limit,
                check=False,
            )
        except FileNotFoundError as missing:
            raise ConnectError(
                "there is no `ssh` program on this machine", remedy="install OpenSSH's client"
            ) from missing
        except subprocess.TimeoutExpired as slow:
            raise self._refused(f"no login within {limit} s") from slow
        if done.returncode != 0:
            raise self._refused("ssh did not let us in")

    def session(self, command: str) -> list[str]:
        """The ssh line that runs `command` over the master, or fails at once when the master is gone."""
        fail_fast = ["-o", "ControlMaster=no", "-o", "ProxyCommand=exit 255", "-o", "BatchMode=yes"]
        quiet = ["-o", "LogLevel=ERROR", "-E", str(self.log), "-o", "ClearAllForwardings=yes"]
        return [*self._control(), *fail_fast, *quiet, "--", self.destination.text, command]

    def control(self, verb: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Send the master `check`, `forward`, `cancel` or `exit`."""
        line = [*self._control(), "-O", verb, *options, "--", self.destination.text]
        return subprocess.run(
            line,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=15,
            check=False,
            start_new_session=True,
        )

    def alive(self) -> bool:
        """Whether the master still answers on its socket (says nothing about the network behind it)."""
        with suppress(subprocess.TimeoutExpired):
            return self.socket.exists() and self.control("check").returncode == 0
        return False

    def last_words(self, wait_s: float = 0.0) -> str:
        """What ssh itself said last, without its debug lines; a dying master may need a moment to say it."""
        until = time.monotonic() + wait_s
        while True:
            with suppress(OSError):
                if words := own_words(self.log.read_text(errors="replace")):
                    return "\n".join(words[-4:])
            if time.monotonic() >= until:
                return ""
            time.sleep(0.1)

    def close(self) -> None:
        """End the connection and remove its directory; never raises."""
        with suppress(OSError, subprocess.SubprocessError):
            if self.socket.exists():
                self.control("exit")
        shutil.rmtree(self.directory, ignore_errors=True)

    def _control(self) -> list[str]:
        fixed = ["-T", "-a", "-x", "-o", "RemoteCommand=none", "-o", "PermitLocalCommand=no"]
        return [*self.destination.ssh, *fixed, "-S", str(self.socket)]

    def _options(self, terminal: bool) -> list[str]:
        options = {
            "ControlPersist": str(PERSIST_S),
            "ClearAllForwardings": "yes",
            "ServerAliveInterval": f"{patient(ALIVE_S):.0f}",
            "ServerAliveCountMax": str(ALIVE_COUNT),
            "LogLevel": "DEBUG1",
            "BatchMode": "no" if terminal else "yes",
        }
        settings = self._settings()
        self.proxy = proxy(settings)
        self.address = "" if self.proxy else settings.get("hostname", "")
        if settings.get("connecttimeout", "none") in ("none", "0"):
            options["ConnectTimeout"] = f"{patient(CONNECT_S):.0f}"
        if ciphers := quick_first(settings.get("ciphers", "")):
            options["Ciphers"] = ciphers
        if settings.get("stricthostkeychecking") in ("ask", "true", None):
            options["StrictHostKeyChecking"] = "yes"
        flags = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        return [*self._control()[len(self.destination.ssh) :], *flags, "-E", str(self.log)]

    def _settings(self) -> dict[str, str]:
        """What the user's config says for this host, by `ssh -G`; its complaint is the reason if it fails."""
        line = [*self.destination.ssh, "-G", "--", self.destination.text]
        asked = subprocess.run(line, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if asked.returncode != 0:
            raise ConnectError(
                f"{self.destination.name}: ssh refuses its own configuration",
                cause=asked.stderr.strip(),
                remedy=f"compare with: {self.destination.plain}",
            )
        return dict(line.split(" ", 1) for line in asked.stdout.splitlines() if " " in line)

    def _refused(self, what: str) -> ConnectError:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        self._end_unfinished()
        reason = self.last_words() or "ssh gave no reason"
        kind = HostKeyUnknown if "Host key verification failed" in text else ConnectError
        cause = [reason]
        if self.proxy:  # what it says itself is lost: with ControlPersist ssh gives it no stderr
            cause.append(f"the way there is set in your ssh configuration: {self.proxy}")
        if kind is HostKeyUnknown:
            shown = re.findall(r"Server host key: (\S+ \S+)", text)
            cause += [f"the host showed the key {key}" for key in shown[-1:]]
            remedy = f"log in once by hand, compare the key, and accept it: {self.destination.plain}"
        else:
            cause.append(f"keys tried: {', '.join(keys_tried(text)) or 'none'}")
            remedy = f"compare with: {self.destination.plain}"
        return kind(f"{self.destination.name}: {what}", cause="\n".join(cause), remedy=remedy)

    def _end_unfinished(self) -> None:
        """A login that timed out has been killed by subprocess.run; a master it forked is told to go."""
        if self.socket.exists():
            with suppress(subprocess.SubprocessError):
                self.control("exit")


def proxy(settings: dict[str, str]) -> str:
    """What `ssh -G` says of a proxy, or "": a jump by its hosts, a command (which may hold a secret) by its keyword."""
    if (jump := settings.get("proxyjump", "none")) != "none":
        return f"ProxyJump {jump}"
    return "ProxyCommand" if settings.get("proxycommand", "none") != "none" else ""


def quick_first(ciphers: str) -> str:
    """The same ciphers, those before the others that most processors have instructions for; "" where there are none.

    Bringing 0.9 GB took ssh and sshd 3.5 s of processor by OpenSSH's own first choice, and 2.7 to 2.9 s so.
    """
    names = ciphers.split(",")
    quick = [one for one in names if one.endswith("-gcm@openssh.com")]
    return ",".join([*quick, *(one for one in names if one not in quick)]) if quick else ""


def own_words(log: str) -> list[str]:
    """The lines of ssh's log that are meant for people: no debug lines, no commands that it quotes, no totals."""
    words: list[str] = []
    quoting = False  # within a command of ours, which may have many lines, and as many opening quotes as closing ones
    for line in log.splitlines():
        odd = line.count("'") % 2 == 1
        if "debug1: Sending command:" in line:
            quoting = odd
        elif quoting:
            quoting = not odd
        elif not line.startswith(
            ("debug", "OpenSSH_", "Authenticated to", "Transferred:", "Bytes per second:")
        ):
            words.append(line)
    return words


def keys_tried(log: str) -> list[str]:
    """The keys that ssh offered or looked for and found, from its debug log, each once and in order."""
    offered = re.findall(r"^debug1: Offering public key: (.+?)(?: explicit| agent)*\s*$", log, re.MULTILINE)
    found = re.findall(r"^debug1: identity file (\S+) type [0-9]+", log, re.MULTILINE)
    named = [key for key in found if not any(offer.startswith(key) for offer in offered)]
    return list(dict.fromkeys([*offered, *named]))


def _sweep(parent: Path) -> None:
    """Remove what killed clients of this user left: directories of an hour ago without a socket."""
    for old in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            state = old.stat()
            if (
                state.st_uid == os.getuid()
                and state.st_mtime < time.time() - 3600
                and not (old / "m").exists()
            ):
                shutil.rmtree(old, ignore_errors=True)


def _short_directory() -> str | None:
    """A directory short enough for a socket path (about 100 bytes, of which ssh itself takes 17)."""
    for candidate in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):
        if candidate and len(candidate) <= 50 and os.access(candidate, os.W_OK | os.X_OK):
            return candidate
    return None


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that we started, gently and then for good."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
