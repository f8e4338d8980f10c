"""The changes of the deployment repository, all from here: `tree -> Change`, pure, guarded, held to the rules."""

from __future__ import annotations

from binderbox.federation.deployrepo.change import FIRST_QUOTA, FIRST_WEIGHT
from binderbox.federation.deployrepo.join import Newcomer, join, make_newcomer
from binderbox.federation.deployrepo.leave import leave
from binderbox.federation.deployrepo.prime import prime
from binderbox.federation.deployrepo.weight import known, refuse_prime, weight

__all__ = [
    "FIRST_QUOTA",
    "FIRST_WEIGHT",
    "Newcomer",
    "join",
    "known",
    "leave",
    "make_newcomer",
    "prime",
    "refuse_prime",
    "weight",
]
