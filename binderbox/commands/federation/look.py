"""Looking at the federation: what `federation status` does. Nothing here prints."""

from __future__ import annotations

from binderbox.commands.federation.ask import Asked, ask_federation
from binderbox.federation.members.status import FederationStatus, make_status
from binderbox.world.http.endpoints import PUBLIC, Way


def status(asked: Asked, way: Way = PUBLIC) -> FederationStatus:
    """Every member on one screen."""
    return make_status(ask_federation(asked, way))
