"""The node's own secrets: made there once, never replaced."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from importlib.resources import files

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from binderbox import layout
from binderbox.deploys.facts.secrets import Secrets

SCRIPT = files("binderbox.deploys.files") / "make-secrets.sh"


@operation()
def made(*, kinds: Mapping[str, str]) -> Generator[StringCommand, None, None]:
    """Make what is missing of the node's secrets.

    + kinds: how each is made, by name; see make-secrets.sh
    """
    held = host.get_fact(Secrets)
    missing = [name for name in kinds if not held.get(name)]
    if not missing:
        host.noop("all secrets are there")
        return
    pairs = (QuoteString(f"{name}={kinds[name]}") for name in kinds if name in missing)
    yield StringCommand("sh", "-c", QuoteString(SCRIPT.read_text()), "sh", layout.SECRETS, *pairs)
