"""What the node's secret store holds."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from pyinfra.api import FactBase

from binderbox import layout


class Secrets(FactBase[dict[str, str]]):
    """Every secret by name, as text. Kept in memory only: they go into files that are compared before they change."""

    def command(self) -> str:
        listing = (
            'for name in *; do [ -f "$name" ] && printf "%s %s\\n" "$name" "$(base64 -w0 <"$name")"; done'
        )
        return f"cd {layout.SECRETS} 2>/dev/null && {listing} || true"

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def process(self, output: Iterable[str]) -> dict[str, str]:
        pairs = (line.partition(" ") for line in output)
        return {name: base64.b64decode(text).decode() for name, _, text in pairs}
