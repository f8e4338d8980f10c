"""Small texts from those who publish artifacts, over TLS alone: asked by the node, for a client without a way out."""

from __future__ import annotations

from collections.abc import Mapping

from binderbox.errors import BrokenOff, NoAnswer, TooLong, without_query
from binderbox.output.requests import Said
from binderbox.world.host.hosts import Host

CONNECT_S, ANSWER_S = 10, 60
MB = 1_000_000
# Each redirect's header block comes before the answer's own. No settings of root's own: they could switch checks off.
WORDS = ["curl", "--disable", "--globoff", "--silent", "--show-error", "--location", "--max-redirs", "5"]
WORDS += ["--proto", "=https", "--proto-redir", "=https", "--suppress-connect-headers"]
WORDS += ["--user-agent", "binderbox", "--dump-header", "-", "--config", "-"]
TOO_LONG = 63  # curl's exit codes; the others: a part of an answer, an empty one, receiving, HTTP/2
BROKEN_OFF = {16, 18, 52, 56, 92}


class NodeAsks:
    """Asks from the node, with what that trusts; `before` is sh text that is run first."""

    def __init__(self, host: Host, before: str = "") -> None:
        self._host, self._before = host, before

    def _inside(self, words: list[str]) -> list[str]:
        return ["sh", "-c", f'{self._before}exec "$@"', "ask", *words] if self._before else words

    def __call__(self, url: str, headers: Mapping[str, str], limit_mb: float) -> Said:
        """One GET, all of it within a time and a size; raises NoAnswer. curl sends no Authorization to another host."""
        limits = [
            f"--connect-timeout={CONNECT_S}",
            f"--max-time={ANSWER_S}",
            f"--max-filesize={int(limit_mb * MB)}",
        ]
        words = [*WORDS, *(part for one in limits for part in one.split("=")), "--", url]
        settings = "".join(map(_setting, headers.items()))
        output = self._host.run(self._inside(words), stdin=settings.encode(), timeout_s=ANSWER_S + 10)
        asked = f"{without_query(url)}, asked by the host"
        too_long = TooLong(f"{asked}: expected at most {limit_mb:g} MB, found more")
        if output.code == TOO_LONG:
            raise too_long
        if not output.ok:
            kind = BrokenOff if output.code in BROKEN_OFF else NoAnswer
            raise kind(f"{asked}: {output.tail(1) or f'curl ended with {output.code}'}")
        said = parse(url, output.stdout)
        if len(said.body) > limit_mb * MB:  # curl before 8.4 asks only the length that is told in advance
            raise too_long
        return said


def _setting(header: tuple[str, str]) -> str:
    """A line of curl's settings; a header may hold what a server gave us, and must not become a setting of its own."""
    name, value = header
    if not value.isprintable():
        raise NoAnswer(f"a header {name} that nobody can send")
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'header = "{name}: {quoted}"\n'


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
