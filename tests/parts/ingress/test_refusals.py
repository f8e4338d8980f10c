"""The authority's words out of lines that traefik 3.7 really wrote."""

from __future__ import annotations

import pytest

from binderbox.parts.ingress.refusals import last_of, parse_refusals

HUB = "hub.binder.example.org"
END = ' ACME CA=https://localhost:1/dir acmeCA=https://localhost:1/dir domains=["hub.binder.example.org"] providerName=acme.acme routerName=hub@file rule=Host(`hub.binder.example.org`)'
HEAD = "2026-11-29T01:00:29Z ERR Unable to obtain ACME certificate for domains error="
NAMES = '"unable to generate a certificate for the domains [hub.binder.example.org]: '
CASES = {
    "caa": (
        f'{HEAD}{NAMES}resolver: one or more domains had a problem: [hub.binder.example.org: invalid authorization: acme: error: 403 :: urn:ietf:params:acme:error:caa :: CAA record for binder.example.org prevents issuance]"{END}',
        "CAA record for binder.example.org prevents issuance",
    ),
    "rateLimited": (
        f'{HEAD}{NAMES}acme: error: 429 :: POST :: https://localhost:1/order-plz :: urn:ietf:params:acme:error:rateLimited :: too many certificates, retry after 2026-11-30 12:00:00 UTC: see https://letsencrypt.org/docs/"{END}',
        "too many certificates, retry after 2026-11-30 12:00:00 UTC: see https://letsencrypt.org/docs/",
    ),
    "connection": (
        f'{HEAD}{NAMES}resolver: one or more domains had a problem: [hub.binder.example.org: invalid authorization: acme: error: 400 :: urn:ietf:params:acme:error:connection :: Get \\"http://hub.binder.example.org:80/.well-known/acme-challenge/x\\": dial tcp 127.0.0.1:80: connect: connection refused]"{END}',
        'Get "http://hub.binder.example.org:80/.well-known/acme-challenge/x": dial tcp 127.0.0.1:80: connect: connection refused',
    ),
    "invalidContact": (
        f'{HEAD}"cannot get ACME client acme: error: 400 :: POST :: https://localhost:1/sign-me-up :: urn:ietf:params:acme:error:invalidContact :: Error validating contact(s) :: contact email has forbidden domain \\"example.org\\""{END}',
        'Error validating contact(s) :: contact email has forbidden domain "example.org"',
    ),
    "": (
        f"{HEAD}\"cannot get ACME client get directory at 'https://localhost:1/dir': Get \\\"https://localhost:1/dir\\\": dial tcp 127.0.0.1:1: connect: connection refused\"{END}",
        "get directory at 'https://localhost:1/dir': Get \"https://localhost:1/dir\": dial tcp 127.0.0.1:1: connect: connection refused",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CASES)
def test_kind_and_words(kind: str) -> None:
    line, said = CASES[kind]
    (found,) = parse_refusals([line])
    assert (found.kind, found.said, found.names, found.at) == (kind, said, (HUB,), "2026-11-29T01:00:29Z")
    assert found.way_out(HUB)


def test_a_renewal_names_its_certificate() -> None:
    line = 'T ERR Error renewing ACME certificate: {Main:a.example SANs:[b.example c.example]} error="acme: error: 503 :: GET :: https://x/dir :: urn:ietf:params:acme:error:serverInternal :: down" providerName=acme.acme'
    (found,) = parse_refusals([line])
    assert (found.names, found.kind, found.said) == (
        ("a.example", "b.example", "c.example"),
        "serverInternal",
        "down",
    )


def test_the_last_word_about_a_name_counts() -> None:
    lines = [CASES[kind][0] for kind in ("caa", "rateLimited")]
    last = last_of(parse_refusals(["T INF Testing certificate renew...", *lines, "not a line of it"]), HUB)
    assert last is not None
    assert last.kind == "rateLimited"
    assert last_of(parse_refusals(lines), "other.example.org") is None
