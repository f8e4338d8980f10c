"""The secrets that a host holds, by name, and a new one for it."""

from __future__ import annotations

from binderbox import layout
from binderbox.commands.connect import changing, opened
from binderbox.decide.facts import make_facts
from binderbox.errors import (
    UsageError,
)
from binderbox.output.progress import Progress
from binderbox.output.requests import (
    Connection,
    SecretRequest,
)
from binderbox.output.results import (
    Secret,
    SecretsResult,
)
from binderbox.parts.guard import bans
from binderbox.parts.guard.bans import BadBans
from binderbox.parts.secrets import kinds
from binderbox.world.host.gather import gather
from binderbox.world.host.hosts import Host


def set_secret(request: SecretRequest, progress: Progress) -> SecretsResult:
    """Keep a secret that an operator gives; the next install puts it to use."""
    if request.name not in kinds.GIVEN:
        raise UsageError(
            f"{request.name} is not a secret that is given",
            cause=f"these are: {', '.join(kinds.GIVEN)}",
            remedy=f"binderbox secrets list {request.connection.host}",
        )
    if request.name in bans.FILES:
        _refuse_bad_bans(request)
    with opened(request.connection) as host, changing(host, f"secrets set {request.name}", progress):
        changed = host.write(f"{layout.SECRETS}/{request.name}", request.value.strip(), 0o600)
        return SecretsResult(host.name, _secrets(host), (request.name,) if changed else ())


def _refuse_bad_bans(request: SecretRequest) -> None:
    """What the node's guard would refuse; it looks at the node's own processes besides."""
    try:
        bans.parse({request.name: request.value.decode(errors="replace")})
    except BadBans as bad:
        raise UsageError(
            f"{request.name} was not taken: {len(bad.faults)} lines cannot be used",
            cause="\n".join(bad.faults[:20]),
            remedy="mend these lines, and run the same command again",
        ) from bad


def list_secrets(connection: Connection, progress: Progress) -> SecretsResult:
    """Which secrets the host holds; never their values."""
    with opened(connection) as host:
        return SecretsResult(host.name, _secrets(host))


def _secrets(host: Host) -> tuple[Secret, ...]:
    present = make_facts(gather(host)).secrets
    return tuple(
        Secret(kind.name, "generated" if kind.made else "given", kind.name in present, kind.purpose)
        for kind in kinds.KINDS
    )
