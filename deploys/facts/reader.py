"""Whether the node's credential for reading pods is the one that the cluster knows."""

from __future__ import annotations

from collections.abc import Iterable

from pyinfra.api import FactBase, QuoteString, StringCommand

from binderbox import layout

SECRET = "node-reader"


class StaleReader(FactBase[list[str]]):
    """Names of the files that are missing or not what the cluster holds; both, where there is no cluster yet."""

    def command(self, directory: str) -> StringCommand:
        looks = "\n".join(
            f"{render_look(name, '/dev/stdout')} | cmp -s - {directory}/{name} && [ -s {directory}/{name} ] "
            f"&& echo same {name} || echo stale {name}"  # pyinfra takes no output at all for no answer
            for name in ("token", "ca.crt")
        )
        return StringCommand("sh", "-c", QuoteString(looks))

    @staticmethod
    def default() -> list[str]:
        return ["token", "ca.crt"]

    def process(self, output: Iterable[str]) -> list[str]:
        return [name for state, _, name in (line.partition(" ") for line in output) if state == "stale"]


def render_look(name: str, to: str) -> str:
    """sh text: write one value of the secret to a file; fails when it is not there."""
    path = "{.data." + name.replace(".", "\\.") + "}"
    get = f"{layout.K3S} kubectl -n {layout.NAMESPACE} get secret {SECRET} -o jsonpath='{path}'"
    return f"{get} 2>/dev/null | base64 -d >{to}"
