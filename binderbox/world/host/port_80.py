"""Whether what this machine asks of port 80 of a name arrives at the host: before anything of ours listens there."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

from binderbox.checks.probe import Answer
from binderbox.world.host.hosts import Host

WITHIN_S, ASK_S = 5.0, 2.5  # for all that is asked, and for one question
LISTENER_S = 25.0  # more than the 20 s after which it ends by itself
CANNOT = 2
# Asks the listener on the host itself, after which it ends.
END = 'use IO::Socket::INET; my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:80", Timeout => 2) or exit; print $s "GET $ARGV[0] HTTP/1.0\\r\\n\\r\\n"; <$s>;'


def asked(host: Host, path: str, token: str, ask: Callable[[], Answer]) -> Answer:
    """What `ask` gets while the host answers `token` at `path`; the last answer, if none of them had it."""
    script = (files("binderbox.world.host") / "port-80.pl").read_text()
    listener = shlex.join(["perl", "-e", script, path, token])
    with ThreadPoolExecutor(1) as beside:
        listening = beside.submit(host.sh, listener, timeout_s=LISTENER_S)
        deadline, answer = time.monotonic() + WITHIN_S, Answer("", 0, error="nobody was asked")
        while time.monotonic() < deadline:
            if listening.done() and listening.result().code == CANNOT:
                return Answer("", 0, error=f"the host {listening.result().text.strip()}")
            answer = ask()
            if answer.status == 200 and answer.body.strip() == token:
                break
            time.sleep(0.3)
        if not listening.done():
            host.run(["perl", "-e", END, path], timeout_s=10)
    return answer
