"""Small texts from those who publish artifacts, over TLS alone: asked by the node, for a client without a way out."""

from __future__ import annotations

from collections.abc import Mapping

from binderbox.errors import NoAnswer, without_query
from binderbox.output.requests import Said
from binderbox.world.host.hosts import Host

CONNECT_S, ANSWER_S = 10, 60
MB = 1_000_000
# Each redirect's header block comes before the answer's own.
WORDS = [
    "curl",
    "--silent",
    "--show-error",
    "--location",
    "--max-redirs",
    "5",
    "--proto",
    "=https",
    "--proto-redir",
    "=https",
]
WORDS += ["--suppress-connect-headers", "--user-agent", "binderbox", "--dump-header", "-", "--config", "-"]


class NodeAsks:
    """Asks from the node, with what that trusts."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def __call__(self, url: str, headers: Mapping[str, str], limit_mb: float) -> Said:
        """One GET, all of it within a time and a size; raises NoAnswer. curl sends no Authorization to another host."""
        limits = [
            f"--connect-timeout={CONNECT_S}",
            f"--max-time={ANSWER_S}",
            f"--max-filesize={int(limit_mb * MB)}",
        ]
        words = [*WORDS, *(part for one in limits for part in one.split("=")), "--", url]
        settings = "".join(f'header = "{name}: {value}"\n' for name, value in headers.items())
        output = self._host.run(words, stdin=settings.encode(), timeout_s=ANSWER_S + 10)
        if not output.ok:
            raise NoAnswer(
                f"{without_query(url)}, asked by the host: {output.tail(1) or f'curl ended with {output.code}'}"
            )
        return parse(url, output.stdout)


def parse(url: str, answered: bytes) -> Said:
    """What curl wrote: header blocks, and the body after the last."""
    while True:
        block, _, rest = answered.partition(b"\r\n\r\n")
        first, *lines = block.decode("latin-1").split("\r\n")
        words = first.split()
        if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
            raise NoAnswer(f"{without_query(url)}, asked by the host: no HTTP: {first[:60]!r}")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        status = int(words[1])
        if status >= 200 and not (
            300 <= status < 400 and "location" in headers and rest.startswith(b"HTTP/")
        ):
            return Said(url, status, headers, rest)
        answered = rest
