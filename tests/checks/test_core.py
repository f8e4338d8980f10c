"""Checks in general: every failure is heard, and waits are bounded and explained."""

from __future__ import annotations

import io
import threading
import time
from collections import Counter
from collections.abc import Sequence

from binderbox.checks.core import AT_ONCE, Check, Verdict, failed, failures, passed, prove, run_checks
from binderbox.checks.probe import Probe, Skip
from binderbox.decide.facts import HostFacts
from binderbox.errors import Unhealthy
from binderbox.output.progress import Lines
from binderbox.output.report.style import Style
from binderbox.output.results import CheckResult
from binderbox.parts.checks import CATEGORIES, every, of
from tests.checks.fakes import FakeProbe


def make(id: str, look: object, judge: object = passed, *, fatal: bool = True) -> Check[object]:
    return Check(id, "host", f"{id} holds", look, judge, "a hint", fatal)  # type: ignore[arg-type]


def test_every_check_is_heard_whatever_the_others_do() -> None:
    def skip(probe: Probe) -> str:
        raise Skip("no plan yet")

    def broken(probe: Probe) -> str:
        raise KeyError("items")

    def unreachable(probe: Probe) -> str:
        raise Unhealthy("kubectl failed", cause="connection refused", remedy="systemctl restart k3s")

    results = run_checks(
        (
            make("BBX-T01", broken),
            make("BBX-T02", unreachable),
            make("BBX-T03", skip),
            make("BBX-T04", lambda probe: "3 CPUs"),
            make(
                "BBX-T05",
                lambda probe: "2 GB",
                lambda found: failed(found, "none", "swapoff -a on HOST"),
                fatal=False,
            ),
        ),
        FakeProbe(),
    )
    assert [(one.id, one.verdict) for one in results] == [
        ("BBX-T01", "fail"),
        ("BBX-T02", "fail"),
        ("BBX-T03", "skip"),
        ("BBX-T04", "pass"),
        ("BBX-T05", "warn"),
    ]
    assert results[0].measured == "could not be found out: KeyError: 'items'"
    assert (results[1].measured, results[1].fix) == (
        "kubectl failed: connection refused",
        "systemctl restart k3s",
    )
    assert results[2].measured == "no plan yet"
    assert results[4].fix == "swapoff -a on host.example"
    assert [one.id for one in failures(results)] == ["BBX-T01", "BBX-T02"]


def test_what_several_checks_ask_is_asked_once_a_round() -> None:
    probe = FakeProbe(records={("binder.example.org", "A"): ("203.0.113.7",)})
    same = make("BBX-T01", lambda probe: probe.dns("binder.example.org", "A")[0])
    other = make(
        "BBX-T02", lambda probe: probe.dns("binder.example.org", "AAAA"), lambda found: passed(str(found))
    )
    run_checks((same, same, other), probe)
    assert probe.asked == ["binder.example.org A", "binder.example.org AAAA"]
    run_checks((same,), probe)
    assert len(probe.asked) == 3


def test_checks_with_one_look_do_not_keep_others_from_looking() -> None:
    reached = threading.Event()

    def slow(probe: Probe) -> str:
        return "seen beside another" if reached.wait(5) else "alone"

    def quick(probe: Probe) -> str:
        reached.set()
        return "quick"

    told = [make("BBX-T01", slow, passed), make("BBX-T02", slow, passed), make("BBX-T03", quick, passed)]
    results = run_checks(told, FakeProbe(), at_once=2)
    assert [(one.id, one.measured) for one in results] == [
        ("BBX-T01", "seen beside another"),
        ("BBX-T02", "seen beside another"),
        ("BBX-T03", "quick"),
    ]


def proved(
    checks: Sequence[Check[object]], *, within_s: float, every_s: float
) -> tuple[tuple[CheckResult, ...], float, str]:
    """The results, the seconds by a clock that goes on in pauses alone, and what was shown meanwhile."""
    clock, stream = [0.0], io.StringIO()
    results = prove(
        checks,
        FakeProbe(),
        Lines(stream, Style(), heartbeat_s=0),
        within_s=within_s,
        every_s=every_s,
        now=lambda: clock[0],
        sleep=lambda s: clock.__setitem__(0, clock[0] + s),
    )
    return results, clock[0], stream.getvalue()


def test_a_proof_waits_only_for_what_fails_and_says_for_what() -> None:
    asked: list[str] = []

    def slow(probe: Probe) -> Verdict:
        asked.append("slow")
        return passed("ready") if len(asked) > 4 else failed("0/1 ready", "1/1", "wait")

    def quick(probe: Probe) -> Verdict:
        asked.append("quick")
        return passed("there")

    checks = (make("BBX-T01", quick, lambda v: v), make("BBX-T02", slow, lambda v: v))
    results, _, shown = proved(checks, within_s=60, every_s=2)
    assert [one.verdict for one in results] == ["pass", "pass"]
    assert asked.count("quick") == 1
    assert "for BBX-T02 holds: 0/1 ready" in shown


def test_a_proof_gives_up_in_its_time_with_the_last_word() -> None:
    check = make("BBX-T01", lambda probe: "0/1", lambda found: failed(found, "1/1", "look"))
    results, took_s, _ = proved((check,), within_s=10, every_s=3)
    assert round(took_s, 6) == 10
    assert (results[0].verdict, results[0].measured) == ("fail", "0/1")


def test_looks_that_hang_outlive_the_bound_by_one_look_and_not_by_their_sum() -> None:
    look_s, hanging = 0.3, 12

    def hang(number: int) -> Check[object]:
        def look(probe: Probe) -> str:
            time.sleep(look_s)  # until its own limit
            raise Unhealthy("no answer in time")

        return make(f"BBX-T{number:02d}", look)

    started = time.monotonic()
    results = prove(
        tuple(map(hang, range(hanging))), FakeProbe(), Lines(io.StringIO(), Style(), heartbeat_s=0),
        within_s=1, every_s=0.01,
    )  # fmt: skip
    first_round_s = look_s * -(-hanging // AT_ONCE)
    assert time.monotonic() - started < max(1, first_round_s) + 2 * look_s
    assert [one.verdict for one in results] == ["fail"] * hanging


def test_those_that_go_on_failing_do_not_keep_others_from_being_asked_again() -> None:
    asked, last = Counter[str](), "BBX-T07"

    def failing(id: str) -> Check[object]:
        def look(probe: Probe) -> bool:
            asked[id] += 1
            return id == last and asked[id] > 1

        return make(id, look, lambda well: passed("up") if well else failed("down", "up", "look"))

    checks = [failing(f"BBX-T{number:02d}") for number in range(1, AT_ONCE + 3)]
    results, _, _ = proved(checks, within_s=20, every_s=1)
    assert [one.id for one in results if one.verdict == "pass"] == [last]
    again = [count for id, count in asked.items() if id != last]
    assert min(again) >= max(again) // 2, "each has its turn, if not in each round"


def test_ids_are_stable_unique_and_belong_to_their_category() -> None:
    letters = dict(zip(CATEGORIES, "HDCPKORIUBGASTLF", strict=True))
    seen = [check.id for check in every()]
    assert len(seen) == len(set(seen))
    for category, letter in letters.items():
        ids = [check.id for check in of(category)]
        assert ids == [f"BBX-{letter}{number:02d}" for number in range(1, len(ids) + 1)], category


def test_claims_read_as_sentences_that_hold() -> None:
    for check in every():
        assert check.claim[0].islower() or check.claim.startswith(("GitHub", "BinderHub", "GitHub")), check.id
        assert not check.claim.endswith(".")
        assert check.hint.endswith("."), check.id


def test_facts_are_enough_for_the_checks_before_an_install() -> None:
    results = run_checks(of("host"), FakeProbe())
    assert isinstance(FakeProbe().facts, HostFacts)
    assert {one.id: one.verdict for one in results if one.verdict != "pass"} == {"BBX-H20": "warn"}
