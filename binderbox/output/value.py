"""A figure of the plan with its reason and its origin, as `plan` shows it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeVar

Origin = Literal["computed", "config", "node", "bundle", "versions", "followed"]
T = TypeVar("T")


@dataclass(frozen=True)
class Value(Generic[T]):
    """One figure of the plan, with why it is what it is and where it came from."""

    key: str
    value: T
    unit: str
    reason: str
    origin: Origin = "computed"

    def overridden(self, given: T | None) -> Value[T]:
        """Return the config's figure in place of this one, when the config gives it."""
        if given is None:
            return self
        reason = f"set in the config; computed would be {self.value} {self.unit}".rstrip()
        return replace(self, value=given, reason=reason, origin="config")


AnyValue = Value[int] | Value[float] | Value[str]
