"""A member as a visitor's browser meets it, for the commands that launch something there."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from binderbox.commands.probe import HostProbe
from binderbox.commands.prove import Visit
from binderbox.launch.names import zone_to_ask
from binderbox.output.progress import Progress
from binderbox.parts.guard.seen import kills
from binderbox.world.host.hosts import Host
from binderbox.world.http.web import Web


@contextmanager
def visiting(host: Host, probe: HostProbe, progress: Progress) -> Iterator[Visit]:
    """A browser that knows where the member is, as long as it is wanted."""
    web = Web(probe.member.domain, probe.way, probe.ca_pem(), probe.own_headers())
    try:
        yield Visit(
            host,
            probe.facts,
            probe.member.binder_url,
            web,
            progress,
            probe.member.networks,
            _unseen(probe),
            kills(probe.guarded()),
        )
    finally:
        web.close()


def _unseen(probe: HostProbe) -> str:
    outside = not probe.member.offline and not probe.from_bundle
    return f"{secrets.token_hex(8)}.{zone_to_ask(probe.member.domain, outside=outside)}"
