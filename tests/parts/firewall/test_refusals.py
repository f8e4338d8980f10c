"""Who was refused is said at once, then once a minute; a scan is told once an hour."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

import pytest

from binderbox.parts.firewall.keeper.known import Named
from binderbox.parts.firewall.keeper.refusals import MOST_GROUPS, SCAN, Refusals

OWN = re.compile(r"git://10\.42\.0\.1/[0-9a-f]{16}")
REPOSITORY = "https://github.com/a/scanner"
NAMED = {f"10.42.0.{n}": Named(f"binderhub/jupyter-{n}", REPOSITORY) for n in (6, 7)}


@dataclass
class Heard:
    now: float = 1000.0
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.refusals = Refusals(lambda what, why: self.told.append(f"{what} {why}"), OWN, lambda: self.now)

    def hear(self, source: str, count: int, begin: int = 0) -> None:
        found = [(source, f"45.64.0.{begin + n}", "tcp", 443) for n in range(count)]
        self.refusals.hear(found, NAMED)


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [f"{one['who']}: {one['what']}" for one in lines if one["event"] == "refused"]


def test_one_refusal_is_said_at_once_with_pod_and_repository(capsys: pytest.CaptureFixture[str]) -> None:
    heard = Heard()
    heard.hear("10.42.0.6", 1)
    assert said(capsys) == [f"{REPOSITORY}: binderhub/jupyter-6 was refused 45.64.0.0 port 443/tcp"]
    assert heard.told == []


def test_what_follows_is_said_once_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    heard = Heard()
    for second in range(130):
        heard.now = 1000.0 + second
        heard.hear("10.42.0.6", 1, second % 9)
    assert len(said(capsys)) == 5, "at once and at the end, of each minute"


def test_two_pods_of_a_repository_scan_together_and_are_told_once_an_hour() -> None:
    heard = Heard()
    heard.hear("10.42.0.6", SCAN - 4)
    assert heard.told == []
    heard.hear("10.42.0.7", 10, 100)
    (first,) = heard.told
    assert first.startswith(
        f"scan-refused {REPOSITORY}: binderhub/jupyter-6, binderhub/jupyter-7 was refused"
    )
    for minute in range(1, 62):
        heard.now = 1000.0 + 60 * minute
        heard.hear("10.42.0.6", SCAN)
    assert len(heard.told) == 2


def test_what_the_node_tries_itself_is_said_and_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    heard = Heard()
    found = [("10.42.0.8", f"198.18.254.{n}", "tcp", 443) for n in range(60)]
    heard.refusals.hear(
        found, {"10.42.0.8": Named("binderhub/jupyter-8", "git://10.42.0.1/0123456789abcdef")}
    )
    assert heard.told == []
    assert len(said(capsys)) == 1


def test_a_slow_asker_is_no_scan() -> None:
    heard = Heard()
    for minute in range(40):
        heard.now = 1000.0 + 61 * minute
        heard.hear("10.42.0.6", 2, 2 * minute)
    assert heard.told == []


def test_an_address_that_nobody_has_is_said_too(capsys: pytest.CaptureFixture[str]) -> None:
    Heard().hear("10.44.0.5", 1)
    assert said(capsys)[0].startswith("10.44.0.5, which is nobody's: 10.44.0.5 was refused")


def test_who_is_remembered_is_bounded_and_forgotten() -> None:
    heard = Heard()
    for n in range(MOST_GROUPS + 50):
        heard.hear(f"10.44.{n // 250}.{n % 250}", 1)
    assert len(heard.refusals._groups) == MOST_GROUPS
    for minute in (1, 2, 3):
        heard.now += 61 * minute
        heard.refusals.hear([], NAMED)
    assert len(heard.refusals._groups) == 0
