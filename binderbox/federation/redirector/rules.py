"""The redirector's rules: which members it sends launches to, and why not the others.

Each rule is one function, and all can be imported from here. `judging.py` has who is in rotation, `balance.py` who
gets how much, `timing.py` how soon, `start.py` what stops it at its start.
Source of every rule: mybinder.org-deploy 95860dbc, images/federation-redirect/app.py.
"""

from __future__ import annotations

from binderbox.federation.redirector.balance import (
    Choice,
    cache_key,
    candidates,
    choose,
    cookie_header,
    cookie_member,
    in_rotation,
    primes,
    rank,
    read_cookie,
    shares,
)
from binderbox.federation.redirector.judging import (
    QUOTA,
    UNKNOWN,
    VERSIONS,
    WEIGHT,
    Answer,
    MemberSeen,
    Standing,
    free_places,
    judge_health,
    judge_member,
    judge_members,
    judge_round,
    judge_versions,
    reference_versions,
)
from binderbox.federation.redirector.start import start_doubts, start_faults, with_program_defaults
from binderbox.federation.redirector.timing import back_within_s, next_check_s, out_within_s, slowest_try_s

__all__ = [
    "QUOTA",
    "UNKNOWN",
    "VERSIONS",
    "WEIGHT",
    "Answer",
    "Choice",
    "MemberSeen",
    "Standing",
    "back_within_s",
    "cache_key",
    "candidates",
    "choose",
    "cookie_header",
    "cookie_member",
    "free_places",
    "in_rotation",
    "judge_health",
    "judge_member",
    "judge_members",
    "judge_round",
    "judge_versions",
    "next_check_s",
    "out_within_s",
    "primes",
    "rank",
    "read_cookie",
    "reference_versions",
    "shares",
    "slowest_try_s",
    "start_doubts",
    "start_faults",
    "with_program_defaults",
]
