"""How soon the redirector takes a member out and lets it back in.

Source: mybinder.org-deploy 95860dbc, images/federation-redirect/app.py. Each replica of the redirector (there are
two) keeps its own time, so each bound holds for each of them.
"""

from __future__ import annotations

from binderbox.federation.redirector.config import RedirectorConfig

PAUSE_BETWEEN_TRIES_S = 1.0  # after a try without a usable answer; after a good one the next follows at once


def next_check_s(config: RedirectorConfig, active: bool) -> tuple[float, float]:
    """Seconds to the next check, earliest and latest: jitter 0.1 spreads it by 5 % to each side."""
    period = config.check.period_s if active else config.check.failed_period_s
    spread = config.check.jitter / 2
    return period * (1 - spread), period * (1 + spread)


def slowest_try_s(config: RedirectorConfig) -> float:
    """The longest that one try takes: /versions and then /health, each just within its limit."""
    return 2 * config.check.timeout_s


def out_within_s(config: RedirectorConfig, *, reason: str = "unknown", answer_s: float = 0.0) -> float:
    """Seconds at most from a member's failure until it gets no launch.

    An `unknown` failure (503, timeout, no JSON) must last for all tries; a named one (versions, a check) counts at
    once. `answer_s` is what one try takes: 0 for answers at once, at most `slowest_try_s`.
    """
    tries = config.check.retries if reason == "unknown" else 1
    return next_check_s(config, True)[1] + (tries - 1) * PAUSE_BETWEEN_TRIES_S + tries * answer_s


def back_within_s(config: RedirectorConfig, *, answer_s: float = 0.0) -> float:
    """Seconds at most from a member's recovery until it gets launches again: all tries of one check must go well."""
    return next_check_s(config, False)[1] + config.check.retries * answer_s
