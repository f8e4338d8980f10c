"""How long a certificate may go on: authorities give them for 90 days, 64, 45 or 6, so every rule is a share of that. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

LEFT_SHARE = 0.25  # of its life: with less left, whoever should have renewed it did not


@dataclass(frozen=True)
class Received:
    """A certificate that the ingress got from an authority: its names, its life, and its chain in PEM, leaf first."""

    names: tuple[str, ...]
    begins: datetime
    ends: datetime
    chain: str = ""

    @property
    def life_days(self) -> float:
        return (self.ends - self.begins).total_seconds() / 86400


def alert_below_days(lifetime_days: float) -> float:
    """With fewer days left than these somebody must look."""
    return lifetime_days * LEFT_SHARE
