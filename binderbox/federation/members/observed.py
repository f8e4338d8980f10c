"""What public addresses of the federation answered, as frozen data: asked by `world.http.endpoints`, judged here and in rules.

A reply is JSON or text within bounds, or an `error` in words that can be shown as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from binderbox.federation.redirector.rules import Answer, MemberSeen
from binderbox.output.printable import printable

Wanted = Literal["json", "text"]


@dataclass(frozen=True)
class Ask:
    """One GET. `wants` "json": anything else is an error in the reply; `timeout_s` bounds all of it.

    `most_bytes`, decoded: the biggest honest answer, a redirector's metrics, is some 20 kB, and the redirector itself has
    no bound. `redirects` False: one is the answer.
    """

    url: str
    timeout_s: float
    wants: Wanted = "json"
    most_bytes: int = 10_000_000
    redirects: bool = True


@dataclass(frozen=True)
class Reply:
    """What came back. `status` 0: nothing, `error` says why; `body` is parsed JSON; header names in lower case.

    `days_left` of `life_days` are the certificate's, None without one; `error` with a status: the answer is of no use.
    """

    url: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = field(default="", repr=False)
    body: Any = None
    error: str = ""
    seconds: float = 0.0
    days_left: float | None = None
    life_days: float = 0.0

    @property
    def answer(self) -> Answer:
        """As the redirector's rules want it."""
        return Answer(self.status, self.body, self.error)

    @property
    def fault(self) -> str:
        """Why it cannot be used, in one line; empty for a 2xx of the wanted kind."""
        if self.status >= 400:
            return f"HTTP {self.status}"
        return self.error or ("" if 200 <= self.status < 300 else f"HTTP {self.status}")


@dataclass(frozen=True)
class Observed:
    """One member's two answers."""

    name: str
    versions: Reply
    health: Reply

    @property
    def seen(self) -> MemberSeen:
        return MemberSeen(self.name, self.versions.answer, self.health.answer)

    @property
    def days_left(self) -> float | None:
        """Of the certificate that was shown; None where TLS failed, or is not used."""
        known = [one.days_left for one in (self.versions, self.health) if one.days_left is not None]
        return min(known, default=None)

    @property
    def life_days(self) -> float:
        """Of the certificate with the fewest days left."""
        known = [one for one in (self.versions, self.health) if one.days_left is not None]
        return min(known, key=lambda one: one.days_left or 0.0).life_days if known else 0.0

    @property
    def seconds(self) -> float:
        """Of the slower of the two."""
        return max(self.versions.seconds, self.health.seconds)


def parsed(content: bytes, content_type: str, wants: Wanted) -> tuple[Any, str]:
    """(body, error) of what came: bytes are read as JSON as the redirector does it, a mark at their begin and UTF-16 too."""
    if wants == "text":
        return None, ""
    try:
        return json.loads(content), ""
    except (ValueError, RecursionError) as error:
        if "html" in content_type.lower() or content.lstrip()[:15].lower().startswith(
            (b"<!doctype", b"<html")
        ):
            return None, "it answers HTML, where JSON is needed"
        return None, f"no JSON: {error}"


def next_place(url: str, location: str, joined: str) -> str:
    """Why a redirect is not followed: to another host, or from https to http. Empty: it may be followed.

    The redirector's own client follows every redirect; one to another host would have somebody else vouch for the member.
    """
    here, there = urlsplit(url), urlsplit(joined)
    if not location:
        return "a redirect without a place"
    if there.hostname != here.hostname:
        return f"it redirects to another host: {printable(joined)}"
    if here.scheme == "https" and there.scheme != "https":
        return f"it redirects from https to {printable(joined)}"
    return ""
