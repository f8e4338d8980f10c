"""Which authority, which file, and when traefik renews what it gave."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from binderbox.decide.certificates import Received, alert_below_days
from binderbox.errors import ConfigError
from binderbox.member.model import parse
from binderbox.parts.ingress import acme

START = datetime(2026, 1, 1, tzinfo=UTC)


def lasting(**life: float) -> Received:
    return Received(("a.example",), START, START + timedelta(**life))


@pytest.mark.parametrize(
    ("life", "hours", "renewed_before"),
    [
        (timedelta(days=90) - timedelta(seconds=1), 2160, timedelta(days=30)),  # Let's Encrypt's, the last second counts
        (timedelta(days=90), 2160, timedelta(days=30)),
        (timedelta(days=64), 2160, timedelta(days=30)),
        (timedelta(days=45), 2160, timedelta(days=30)),
        (timedelta(hours=160), 144, timedelta(days=2)),  # its short-lived ones
        (timedelta(days=397), 8760, timedelta(days=120)),
        (timedelta(days=1), 24, timedelta(hours=6)),
        (timedelta(minutes=60), 1, timedelta(minutes=20)),
    ],
)  # fmt: skip
def test_it_is_renewed_after_the_half_and_before_anybody_is_alarmed(
    life: timedelta, hours: int, renewed_before: timedelta
) -> None:
    one = Received(("a.example",), START, START + life)
    assert acme.duration_hours([one]) == hours
    assert dict(acme.RENEWALS)[hours] == pytest.approx(renewed_before.total_seconds() / 3600)
    assert timedelta(days=alert_below_days(one.life_days)) <= renewed_before < life


def test_the_shortest_decides_and_before_the_first_ninety_days_are_taken() -> None:
    assert acme.duration_hours([lasting(days=90), lasting(hours=160)]) == 144
    assert acme.duration_hours([]) == 2160


@pytest.mark.parametrize("days", range(1, 400))
def test_a_life_that_traefik_has_no_number_for_is_never_an_order_at_every_look(days: int) -> None:
    before_h = dict(acme.RENEWALS)[acme.duration_hours([lasting(days=days)])]
    assert before_h <= days * 24 * acme.EARLIEST_SHARE


@pytest.mark.parametrize("server", ["http://a.example/dir", "prod", "https://", "https://u:p@a.example/dir"])
def test_what_is_no_directory_is_refused(server: str) -> None:
    with pytest.raises(ConfigError, match="acme_server"):
        parse(f"domain: a.example.org\nacme_server: {server}\n", "test")


def test_nobody_is_asked_with_certificates_of_ones_own() -> None:
    with pytest.raises(ConfigError, match="nobody is asked for certificates with tls: own-ca"):
        parse("domain: a.example.org\ntls: own-ca\nacme_server: staging\n", "test")


def test_an_account_always_has_an_address() -> None:
    assert acme.account_email(parse("domain: a.example.org\n", "test")) == "postmaster@a.example.org"
    assert (
        acme.account_email(parse("domain: a.example.org\nemail: me@b.example.org\n", "test"))
        == "me@b.example.org"
    )
