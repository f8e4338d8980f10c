"""The host's lock: one client at a time, and held as long as anything that a client started still runs.

The lock is a `flock` on a descriptor of the remote root shell. Every command run through that shell inherits the
descriptor, so the kernel itself keeps the lock until the last of them has ended, whether its client lives or not;
uploads, which have sessions of their own, hold a second one. Programs that systemd starts are not our descendants
and hold nothing. A reboot empties /run.

Beside it lie `lock.json` (holder, step, since) and `lock.beat`, touched every BEAT_S by a small loop on the host that
its client feeds and removed when that client goes. From them the next client knows which of these it has met:
- the holder's client lives: Locked (exit 7), or wait up to `wait_s`;
- the client is gone and work still runs: wait for it to end, and say for what;
- the client is gone and its idle shell is left over by a dead network: end that shell and take the lock.
"""

from __future__ import annotations

import getpass
import json
import os
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from binderbox import layout
from binderbox.errors import Locked, StepFailed
from binderbox.world.host.hosts import Host
from binderbox.world.ssh.master import end
from binderbox.world.ssh.talk import Talk

BEAT_S = 5.0
GONE_S = 45.0  # a client that was silent this long is gone: the ssh connection itself gives up after 15 s
SETTLE_S = 3.0  # a client killed this very moment is known to be gone after one round trip
POLL_S = 1.0
ENDING_S = 10.0  # the shell of a client that has gone ends by itself, and at once
WORK_S = (
    3600.0  # the longest wait for work that outlived its client; apt and helm both end by themselves before
)

TAKE = """\
( mkdir -p {run} && : >>{run}/lock ) && exec 9>>{run}/lock
if flock -n 9 && ( flock -n 8 ) 8>>{run}/sessions; then
  printf '%s\\n' {note} >{run}/lock.json; echo $$ >{run}/lock.shell; echo >{run}/lock.beat; echo taken
else
  exec 9>&-
  shell=$(cat {run}/lock.shell 2>/dev/null)
  work=; idle=
  for p in $(find /proc/[0-9]*/fd \\( -lname {run}/lock -o -lname {run}/sessions \\) 2>/dev/null | cut -d/ -f3 | sort -un); do
    if [ "$p" = "$shell" ]; then idle=$p; else work="$work $(cat /proc/$p/comm 2>/dev/null)"; fi
  done
  if [ -e {run}/lock.beat ]; then age=$(( $(date +%s) - $(stat -c %Y {run}/lock.beat) )); else age=gone; fi
  echo busy "$age" "${{idle:-none}}" $work
  cat {run}/lock.json 2>/dev/null
fi"""
FEED = """\
while IFS= read -r line; do
  if [ -n "$line" ]; then printf '%s\\n' "$line" >{run}/lock.new && mv -f {run}/lock.new {run}/lock.json; fi
  echo >{run}/lock.beat
done
rm -f {run}/lock.beat"""


@dataclass(frozen=True)
class Holder:
    """Who holds the lock: `beat_s` seconds since its client's last sign of life (None: it is gone)."""

    who: str
    step: str
    since: float
    beat_s: float | None
    idle_shell: int | None
    work: tuple[str, ...]

    @property
    def client_lives(self) -> bool:
        """Whether its client gave a sign of life lately."""
        return self.beat_s is not None and self.beat_s < GONE_S


class HostLock:
    """A held lock. `step` says what is being done; it costs no round trip."""

    def __init__(self, feed: Talk, note: dict[str, Any]) -> None:
        self._feed, self._note = feed, note
        self._stop = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._beat, name="binderbox-lock", daemon=True)
        self._thread.start()

    def step(self, text: str) -> None:
        """Tell other clients what this one does now."""
        self._note = {**self._note, "step": text}
        self._send(json.dumps(self._note))

    def close(self) -> None:
        """Stop the signs of life."""
        self._stop.set()
        self._thread.join()
        stdin = self._feed.process.stdin
        with suppress(OSError, subprocess.TimeoutExpired):
            if stdin:
                stdin.close()  # the loop on the host ends by this, and takes the sign of life away
            self._feed.process.wait(5)
        self._feed.close()
        end(self._feed.process)

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_S):
            self._send("")

    def _send(self, line: str) -> None:
        stdin = self._feed.process.stdin
        with self._writing, suppress(OSError, ValueError):  # a lost connection shows in the next command
            if stdin:
                os.write(stdin.fileno(), f"{line}\n".encode())


@contextmanager
def hold(
    host: Host, step: str, *, wait_s: float = 0.0, note: Callable[[str], None] | None = None
) -> Iterator[HostLock]:
    """Hold the lock for the block. `note` is told what is waited for; `wait_s` is how long to wait for a live client."""
    mine = {"holder": client_name(), "step": step, "since": time.time()}
    _take(host, mine, wait_s, note or (lambda _: None))
    run = shlex.quote(host.connection.run_dir)
    host.connection.lock_descriptors = f"exec 8>>{run}/sessions; flock -s -n 8 || exit 75"
    lock = HostLock(host.connection.background(FEED.format(run=run)), mine)
    try:
        yield lock
    finally:
        lock.close()
        host.connection.lock_descriptors = ""
        if host.connection.usable:
            host.connection.shell(
                f"exec 9>&-; rm -f {run}/lock.json {run}/lock.beat {run}/lock.shell", timeout_s=60
            )


def _take(host: Host, mine: dict[str, Any], wait_s: float, note: Callable[[str], None]) -> None:
    started, told = time.monotonic(), ""
    while holder := _try(host, mine):
        waited = time.monotonic() - started
        if holder.client_lives:
            if waited >= max(wait_s, SETTLE_S):
                raise _locked(host, holder)
            text = f"waiting for {holder.who}, who is at: {holder.step}"
        elif holder.work:
            if waited >= WORK_S:
                raise _locked(host, holder)
            text = f"waiting for {', '.join(holder.work)}, left running by {holder.who} at: {holder.step}"
        elif holder.idle_shell and (holder.beat_s is not None or waited >= ENDING_S):
            host.log.write(f"lock: ending the idle shell {holder.idle_shell} of {holder.who}")
            host.connection.shell(f"kill {holder.idle_shell} 2>/dev/null || true", timeout_s=60)
            text = f"taking over from {holder.who}, whose connection is dead"
        else:
            text = told  # it is being released this very moment
            if waited >= max(wait_s, GONE_S):
                raise _locked(host, holder)
        if text != told and (wait_s or not holder.client_lives):
            note(text)
            told = text
        time.sleep(POLL_S)


def _try(host: Host, mine: dict[str, Any]) -> Holder | None:
    """Take the lock (None) or say who has it."""
    run = shlex.quote(host.connection.run_dir)
    output = host.connection.shell(TAKE.format(run=run, note=shlex.quote(json.dumps(mine))), timeout_s=60)
    first, _, rest = output.text.partition("\n")
    words = first.split()
    if words[:1] == ["taken"]:
        return None
    if words[:1] != ["busy"]:
        raise StepFailed(f"{host.name}: the host's lock cannot be taken", cause=output.tail())
    told = _told(rest)
    return Holder(
        who=str(told.get("holder", "somebody")),
        step=str(told.get("step", "unknown")),
        since=float(told.get("since", time.time())),
        beat_s=None if words[1] == "gone" else float(words[1]),
        idle_shell=None if words[2] == "none" else int(words[2]),
        work=_work_names(words[3:]),
    )


def _told(text: str) -> dict[str, Any]:
    with suppress(ValueError):
        told = json.loads(text)
        if isinstance(told, dict):
            return told
    return {}


def _work_names(names: list[str]) -> tuple[str, ...]:
    """The programs that hold the lock; wrappers only if there is nothing else."""
    wrappers = ("sh", "timeout", "cat", "flock")
    return tuple(dict.fromkeys([name for name in names if name not in wrappers] or names))


def _locked(host: Host, holder: Holder) -> Locked:
    age_s = max(0.0, time.time() - holder.since)
    age = f"{age_s / 60:.0f} min" if age_s >= 120 else f"{age_s:.0f} s"
    what = f"; still running there: {', '.join(holder.work)}" if holder.work else ""
    return Locked(
        f"{host.name}: {holder.who} is working on it, at: {holder.step} (for {age})",
        holder=holder.who,
        step=holder.step,
        age_s=age_s,
        cause=f"one client at a time{what}",
        remedy="try again later, or wait with --lock-wait SECONDS",
    )


def audit(host: Host, event: str, command: str, *, path: str = layout.AUDIT_FILE, **more: str | int) -> None:
    """Append one line to the host's audit log: when, who, what; `more` are fields such as exit=0."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = json.dumps({"at": now, "who": client_name(), "event": event, "command": command, **more})
    file = shlex.quote(path)
    script = f'mkdir -p "$(dirname {file})" && umask 077 && cat >>{file}'
    output = host.connection.run(script, stdin=f"{host.log.clean(line)}\n".encode(), timeout_s=60)
    if not output.ok:
        raise StepFailed(f"{host.name}: cannot write the audit log {path}", cause=output.tail())


def client_name() -> str:
    """user@machine of this client."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
