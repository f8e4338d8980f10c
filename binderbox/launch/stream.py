"""What a launch is, read from BinderHub's event stream, and what its proof must see. Pure.

The stream's contract: every answer is HTTP 200, and what failed is said in the events; the first `failed`
may be bare and its text may come before or after; the stream stays open for minutes afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    pass

# in the settings that BinderHub's page gives its script
BUILD_TOKEN = re.compile(r'"buildToken": *"([^"]+)"')
BARE_FAILED_GRACE_S = 5  # a bare `failed` can come before the one with the text, never long before
KEPT_LINES = 30
TOLD_LINES = 12


@dataclass(frozen=True)
class Launch:
    """A launch as far as its events have told; times are seconds since the request."""

    url: str = ""
    token: str = ""
    image: str = ""
    built: bool = False
    failure: str | None = None
    failed_at_s: float | None = None
    phase: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    lines: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        return bool(self.url)


def build_path(repo_url: str, ref: str) -> str:
    """The path of BinderHub's build endpoint for a repository; github.com has a provider of its own.

    Raises ValueError for anything that is not an absolute http, https or git URL.
    """
    parts = urlsplit(repo_url)
    if parts.scheme not in ("http", "https", "git") or not parts.netloc:
        raise ValueError(f"{repo_url!r} is not a repository URL; write it like https://github.com/owner/name")
    match = re.fullmatch(r"/([\w.-]+)/([\w.-]+?)(?:\.git)?/?", parts.path)
    if parts.netloc == "github.com" and match:
        return f"/build/gh/{match[1]}/{match[2]}/{quote(ref, safe='')}"
    return f"/build/git/{quote(repo_url, safe='')}/{quote(ref, safe='')}"


def build_token(page: str) -> str:
    """The token that BinderHub's launch page carries for its own script, "" where there is none.

    Builds with it are not counted; without one an address has 10 builds an hour.
    """
    found = BUILD_TOKEN.search(page)
    return found[1] if found else ""


def page_path(path: str) -> str:
    """The path of the page that a visitor opens, for a path of the build endpoint; it carries a token for the build."""
    return path.replace("/build/", "/v2/", 1)


def reason_lines(launch: Launch, why: str) -> tuple[str, ...]:
    """The last lines of a launch that failed, and why it did, unless they say so already."""
    told = launch.lines[-TOLD_LINES:]
    reason = why.splitlines()
    return told if tuple(reason[-len(told) :]) == told[-len(reason) :] else (*told, *reason)


def follow(launch: Launch, event: Mapping[str, Any], at_s: float) -> Launch:
    """The launch after one more event."""
    phase = event.get("phase") or launch.phase
    message = str(event.get("message") or "")
    seconds = dict(launch.seconds)
    seconds.setdefault(phase, round(at_s, 2))
    lines = (*launch.lines, *message.rstrip().splitlines())[-KEPT_LINES:]
    launch = replace(launch, phase=phase, seconds=seconds, lines=lines)
    if phase in ("fetching", "building"):
        return replace(launch, built=True)
    if phase == "built":
        return replace(launch, image=event.get("imageName") or launch.image)
    if phase == "ready":
        url, image = str(event["url"]), event.get("image") or launch.image
        return replace(launch, url=url, token=str(event["token"]), image=image)
    if phase in ("failed", "failure"):
        text = message.strip() or launch.failure or ""
        return replace(launch, failure=text, failed_at_s=launch.failed_at_s or at_s)
    return launch


def over(launch: Launch, at_s: float) -> bool:
    """Whether nothing more is to be waited for."""
    if launch.failed_at_s is None:
        return launch.ready
    return bool(launch.failure) or at_s - launch.failed_at_s > BARE_FAILED_GRACE_S
