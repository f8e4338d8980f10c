"""What a node knows of its artifacts: each sum, by whom it was stated, when, and asked from where.

`artifacts.lock.json` on the node. While version and source are the same it is the only truth, and nobody is asked
again: a tag that moved, or a list that was changed, does not reach a second run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from binderbox.artifacts.versions import SHA256, Pin
from binderbox.errors import BundleError

ACCEPTED = "--accept"
_OPTIONAL = {"images_of", "disputed"}


@dataclass(frozen=True)
class Record:
    """One artifact as somebody stated it.

    `asked_from` is "client", "node" or "operator", `asked_at` a time in UTC. `images_of` is the checksum of the chart
    that runs this image. `disputed` is another sum that its publisher stated later.
    """

    name: str
    version: str
    source: str
    sha256: str
    stated_by: str
    asked_from: str
    asked_at: str
    images_of: str = ""
    disputed: str = ""

    def is_of(self, pin: Pin) -> bool:
        """Whether it is about what the pin names."""
        return (self.name, self.version, self.source) == (pin.name, pin.version, pin.source)


Records = Mapping[str, Record]


def parse(text: str | None) -> dict[str, Record]:
    """Read the lock; None is an empty one. Raises BundleError for what no install of ours has written."""
    if text is None:
        return {}
    try:
        lock = json.loads(text)
        if lock["schema"] != 1:
            raise ValueError(f"schema {lock['schema']}, this binderbox knows 1")
        found = [_record(one) for one in lock["artifacts"]]
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"artifacts.lock.json on the host cannot be read: {error}",
            cause="it is written by install alone; its sums decide what may be used",
            remedy="put back the file of a backup, or remove it on the host: then the publishers are asked anew",
        ) from error
    return {one.name: one for one in found}


def _record(raw: Any) -> Record:
    record = Record(**raw)
    texts = {key: value for key, value in asdict(record).items() if key not in _OPTIONAL}
    for key, value in texts.items():
        if not isinstance(value, str) or not value:
            raise ValueError(f"{raw.get('name')}: {key}: expected text, found {value!r}")
    if not SHA256.fullmatch(record.sha256):
        raise ValueError(f"{record.name}: sha256: expected 64 small hex digits, found {record.sha256!r}")
    return record


def render(records: Iterable[Record]) -> str:
    """The lock's text; the same records give the same text."""
    entries = [
        {key: value for key, value in asdict(one).items() if value or key not in _OPTIONAL}
        for one in sorted(records, key=lambda one: one.name)
    ]
    return json.dumps({"schema": 1, "artifacts": entries}, indent=1) + "\n"
