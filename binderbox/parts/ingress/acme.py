"""Which authority the ingress asks for its certificates, where it keeps them, and when it renews them. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from binderbox.decide.certificates import LEFT_SHARE, Received
from binderbox.member.model import Member

PRODUCTION = "https://acme-v02.api.letsencrypt.org/directory"
SERVERS = {"production": PRODUCTION, "staging": "https://acme-staging-v02.api.letsencrypt.org/directory"}
DIRECTORY = "traefik"  # in the data directory: account and certificates
# traefik renews by `certificatesDuration` alone, whatever a certificate says (v3.7 pkg/provider/acme/provider.go,
# getCertificateRenewDurations): hours that it is set to, and hours before the end at which it then renews.
RENEWALS = ((1, 1 / 3), (24, 6), (6 * 24, 48), (30 * 24, 10 * 24), (90 * 24, 30 * 24), (365 * 24, 120 * 24))
FIRST_HOURS = 90 * 24  # until a certificate has been received
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.S)
EARLIEST_SHARE = 0.75  # of its life left: an earlier renewal would be an order at every look


def server(member: Member) -> str:
    """The directory URL of the authority."""
    return SERVERS.get(member.acme_server, member.acme_server)


def storage(directory_url: str) -> str:
    """The file for account and certificates of this authority: what another one gave is not taken for its own."""
    if directory_url == PRODUCTION:
        return "acme.json"
    return f"acme-{hashlib.sha256(directory_url.encode()).hexdigest()[:8]}.json"


def account_email(member: Member) -> str:
    """traefik takes an account without an address for none, and makes another at each start; there are 10 in 3 hours."""
    return member.email or f"postmaster@{member.domain}"


def file_on_the_node(member: Member) -> str:
    """Where account and certificates are; empty where no authority is asked."""
    if member.tls != "acme":
        return ""
    return f"{member.data_dir}/{DIRECTORY}/{storage(server(member))}"


def issuers(member: Member, received: Mapping[str, tuple[Received, ...]]) -> list[str]:
    """In PEM, who signed what a staging authority gave to this node: nobody else knows them."""
    if member.acme_server != "staging":
        return []
    chains = [one.chain for one in held(member, received)]
    return sorted({pem for chain in chains for pem in PEM.findall(chain)[1:]})


def held(member: Member, received: Mapping[str, tuple[Received, ...]]) -> tuple[Received, ...]:
    """What the authority that is asked now gave; `received` is by file."""
    return received.get(storage(server(member)), ())


def duration_hours(received: Iterable[Received]) -> int:
    """What `certificatesDuration` must be, so that the shortest of them is renewed before its last quarter begins."""
    lives = [one.life_days * 24 for one in received]
    if not lives:
        return FIRST_HOURS
    life = min(lives)
    fitting = [hours for hours, before in RENEWALS if life * LEFT_SHARE <= before <= life * EARLIEST_SHARE]
    late = [hours for hours, before in RENEWALS if before < life * LEFT_SHARE]
    return fitting[0] if fitting else late[-1] if late else RENEWALS[0][0]
