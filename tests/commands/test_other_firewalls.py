"""`--yes-firewall`: that check alone may fail, its lines alone are carried out, and then nothing may still drop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from binderbox.checks.core import failures, run_check
from binderbox.checks.traps import switch_off_lines
from binderbox.commands import other_firewalls
from binderbox.decide.facts import HostFacts
from binderbox.errors import StepFailed
from binderbox.parts import checks
from tests.checks.fakes import FakeProbe, facts
from tests.test_plan import made

BOTH = ("ufw", "firewalld")
LINES = ("ufw disable", "systemctl disable --now firewalld")


class Machine:
    name = "host.example"


def looked(of: HostFacts) -> tuple[Any, ...]:
    wanted = [check for check in checks.of("host") if check.id in ("BBX-H21", "BBX-H22", "BBX-H26")]
    return tuple(run_check(check, FakeProbe(facts=of)) for check in wanted)


def test_the_check_names_the_lines_and_the_flag() -> None:
    assert switch_off_lines(BOTH) == LINES
    assert looked(facts(filters=BOTH))[0].fix.splitlines() == [
        "ufw disable",
        "systemctl disable --now firewalld  # or: binderbox install host.example --yes-firewall",
    ]


def test_only_that_check_is_tolerated_and_only_when_it_was_agreed() -> None:
    found = looked(facts(filters=("ufw",), selinux="Enforcing"))
    assert [one.id for one in failures(other_firewalls.tolerated(found, ()))] == ["BBX-H21", "BBX-H26"]
    agreed = other_firewalls.tolerated(found, ("ufw disable",))
    assert [one.id for one in failures(agreed)] == ["BBX-H26"]
    assert (agreed[0].verdict, agreed[0].fix) == ("warn", "install does it: ufw disable")


def test_what_is_made_by_hand_stays_a_failure() -> None:
    by_hand = facts(filters=("chain inet filter input",))
    assert switch_off_lines(by_hand.filters) == ()
    assert failures(other_firewalls.tolerated(looked(by_hand), switch_off_lines(by_hand.filters)))


def test_only_what_is_on_and_was_agreed_to_is_switched_off() -> None:
    assert made(facts(filters=BOTH)).host.switch_off == ()
    assert made(facts(filters=BOTH), switch_off=LINES[:1]).host.switch_off == LINES[:1]
    assert made(facts(filters=BOTH[:1]), switch_off=LINES).host.switch_off == LINES[:1]
    assert made(switch_off=LINES).host.switch_off == ()


def test_the_result_says_what_was_carried_out() -> None:
    done = other_firewalls.mended(looked(facts(filters=("ufw",))), ("ufw disable",))
    assert [one.verdict for one in done] == ["pass"] * 3
    assert done[0].measured == "none, after ufw disable"


@pytest.mark.parametrize("left", [(), ("chain inet filter input",)])
def test_one_that_still_drops_stops_the_phase(monkeypatch: pytest.MonkeyPatch, left: tuple[str, ...]) -> None:
    def gather(host: Any) -> Mapping[str, Any]:
        return {"filters": left}

    monkeypatch.setattr(other_firewalls, "gather", gather)
    monkeypatch.setattr(other_firewalls, "make_facts", lambda raw: facts(**raw))
    plan, host = made(facts(filters=("ufw",)), switch_off=LINES), Machine()
    assert other_firewalls.gone(host, plan, True) == ()  # type: ignore[arg-type]
    if not left:
        assert other_firewalls.gone(host, plan, False) == ()  # type: ignore[arg-type]
        return
    with pytest.raises(StepFailed, match="still on: chain inet filter input") as caught:
        other_firewalls.gone(host, plan, False)  # type: ignore[arg-type]
    assert caught.value.cause == "carried out: ufw disable"
    assert "/etc/nftables.conf" in caught.value.remedy
    assert "binderbox install host.example" in caught.value.remedy
