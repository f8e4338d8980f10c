"""Where the redirector sends a launch: who takes part, with which share, by which rule, and its cookie.

Source of every rule: mybinder.org-deploy 95860dbc, images/federation-redirect/app.py; recorded answers of that
program are in tests/federation/recorded.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from hashlib import blake2b
from random import Random
from typing import Literal

from binderbox.federation.redirector.config import HostEntry, RedirectorConfig

HASH_MAX = 0xFFFFFFFFFFFFFFFF  # 8 bytes of BLAKE2b


@dataclass(frozen=True)
class Choice:
    """Where one launch goes: the member's name, its `url`, and whether the balancer or the cookie said so."""

    name: str
    url: str
    by: Literal["load_balancer", "cookie"]


def in_rotation(config: RedirectorConfig) -> tuple[HostEntry, ...]:
    """The members that the redirector keeps when it reads its configuration: those with a weight above 0."""
    return tuple(one for one in config.hosts if one.weight > 0)


def primes(config: RedirectorConfig) -> tuple[HostEntry, ...]:
    """The members marked prime that it keeps. The first in the file serves all pages."""
    return tuple(one for one in in_rotation(config) if one.prime)


def candidates(config: RedirectorConfig, active: Collection[str]) -> tuple[HostEntry, ...]:
    """Who may get a launch: the active members, or the primes, healthy or not, when none is active."""
    kept = tuple(one for one in in_rotation(config) if one.name in active)
    return kept or primes(config)


def shares(config: RedirectorConfig, active: Collection[str]) -> dict[str, float]:
    """The expected share of launches of each member that can get one, in the file's order; they add up to 1.

    Both ways of balancing share by weight: `random` launches, `rendezvous` repositories, so that with
    `rendezvous` one much launched repository still goes to one member whole.
    """
    chosen = candidates(config, active)
    total = math.fsum(one.weight for one in chosen)
    return {one.name: one.weight / total for one in chosen}


def cache_key(path: str) -> str:
    """What `rendezvous` looks at: the path in lower case, for GitHub repositories without the ref."""
    key = path.lower()
    return key.rsplit("/", maxsplit=1)[0] if key.startswith("/build/gh") else key


def rank(weights: Sequence[tuple[str, float]], key: str) -> list[str]:
    """Names of members by their rendezvous score for this key, the best first."""
    return [
        name
        for _, name in sorted(((_score(name, weight, key), name) for name, weight in weights), reverse=True)
    ]


def choose(
    config: RedirectorConfig, active: Collection[str], path: str, *, cookie: str, random: Random
) -> Choice:
    """Which member gets this launch. `cookie` is the value of the cookie `host`, "" for none.

    Raises LookupError when no member could get it, which `start_faults` rules out.
    """
    possible = candidates(config, active)
    if not possible:
        raise LookupError("no member is active and none is prime")
    kept = cookie_member(possible, cookie)
    if kept is not None:
        return Choice(kept.name, kept.url, "cookie")
    if config.load_balancer == "rendezvous":
        name = rank([(one.name, one.weight) for one in possible], cache_key(path))[0]
        chosen = next(one for one in possible if one.name == name)
    else:
        chosen = random.choices(possible, [one.weight for one in possible])[0]
    return Choice(chosen.name, chosen.url, "load_balancer")


def cookie_member(possible: Sequence[HostEntry], cookie: str) -> HostEntry | None:
    """The member that the cookie names, if it may get a launch now: its url exactly, without a slash at its end."""
    return next((one for one in reversed(possible) if one.url == cookie), None)


def read_cookie(header: str) -> str:
    """The value of `host` in a Cookie header, with or without quotes; "" when there is none."""
    found = ""
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name.strip() == "host":
            found = value.strip().strip('"')
    return found


def cookie_header(config: RedirectorConfig, url: str, path: str, now: datetime) -> str:
    """The Set-Cookie header of a redirect: it counts for this very path only, and is renewed each time.

    `now` is an aware time in UTC.
    """
    until = format_datetime(now + timedelta(hours=config.host_cookie_age_hours), usegmt=True)
    return f'host="{url}"; expires={until}; Path={path}'


def _score(name: str, weight: float, key: str) -> float:
    digest = int.from_bytes(blake2b(f"{key}-{name}".encode(), digest_size=8).digest(), "big")
    return weight / -math.log(digest / HASH_MAX)
