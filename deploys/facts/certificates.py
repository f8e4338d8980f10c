"""The public halves of the member's own authority and of its server certificate."""

from __future__ import annotations

from collections.abc import Iterable

from pyinfra.api import FactBase

from binderbox import layout

AUTHORITY, LEAF = f"{layout.CA}/ca.crt", f"{layout.ETC}/tls/tls.crt"


class Certificates(FactBase[tuple[str, str]]):
    """(authority, server certificate) as PEM text, "" for what is not there."""

    def command(self) -> str:
        return f"cat {AUTHORITY} 2>/dev/null; echo =====; cat {LEAF} 2>/dev/null || true"

    @staticmethod
    def default() -> tuple[str, str]:
        return ("", "")

    def process(self, output: Iterable[str]) -> tuple[str, str]:
        authority, _, leaf = "\n".join(output).partition("=====")
        return authority.strip(), leaf.strip()
