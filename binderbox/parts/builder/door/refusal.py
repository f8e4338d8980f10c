"""The one exception that a caller hears about."""

from __future__ import annotations


class Refused(Exception):
    """The door does not do what it was asked. The text goes to the caller and to the journal.

    + reason: a short stable word for the journal, for example `other-tag`
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
