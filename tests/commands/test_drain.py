"""Who may be drained, asked of a real redirector; and which answer counts in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from binderbox import layout
from binderbox.checks.probe import FileInfo
from binderbox.commands.drain import DrainRequest, _may_be_drained
from binderbox.errors import BinderboxError, RuleBroken, UsageError
from binderbox.federation.redirector.rules import Answer
from binderbox.output.requests import Connection
from tests.checks.fakes import FakeProbe
from tests.federation.prime import Prime, make_health
from tests.federation.small_redirector import Redirector

PLACE = f"{layout.INGRESS_ROUTES}/routes.yml"
WATCHES = {PLACE: FileInfo(PLACE, "file", 0o644, "root")}
OURS = "https://binder.example.org"
WELL = Answer(200, make_health())


def ask(federation_url: str, answer: bool = False, **probe: Any) -> list[str]:
    """The questions that were asked; raises what the refusal is."""
    asked: list[str] = []

    def confirm(question: str) -> bool:
        asked.append(question)
        return answer

    request = DrainRequest(Connection("host.example"), federation_url=federation_url)
    _may_be_drained(FakeProbe(**{"paths": WATCHES, **probe}), request, confirm)  # type: ignore[arg-type]
    return asked


@pytest.fixture
def redirector() -> Iterator[Callable[[bool], str]]:
    """A function that gives the address of a redirector in which the member is the prime, or is not."""
    started: list[Any] = []

    def start(ours_is_prime: bool) -> str:
        other = Prime().__enter__()
        ours = {"prime": ours_is_prime, "weight": 5, "url": OURS, "health": f"{OURS}/health", "versions": f"{OURS}/versions"}  # fmt: skip
        hosts = {"ours": ours, "other": other.entry(prime=not ours_is_prime)}
        check = {"period": 60, "jitter": 0.1, "retries": 5, "timeout": 1, "failed_period": 60}
        started.extend([Redirector({"hosts": hosts, "check": check}, fetch=lambda url, limit_s: WELL), other])
        started[-2].start()
        return str(started[-2].url)

    yield start
    for one in started:
        one.close()


def test_a_member_of_the_federation_may_be_drained(redirector: Callable[[bool], str]) -> None:
    assert ask(redirector(False)) == []


def test_the_prime_may_not_be_drained_whatever_is_said(redirector: Callable[[bool], str]) -> None:
    with pytest.raises(RuleBroken, match=OURS) as refusal:
        ask(redirector(True), answer=True)
    assert refusal.value.exit_code == 2


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense"])
def test_where_nobody_can_say_it_is_asked(url: str) -> None:
    (question,) = ask(url, answer=True)
    assert OURS in question
    with pytest.raises(UsageError, match="nothing was changed"):
        ask(url, answer=False)


def test_a_node_whose_ingress_does_not_watch_is_told_before_anything_else() -> None:
    with pytest.raises(BinderboxError) as refusal:
        ask("http://127.0.0.1:1", paths={})
    assert refusal.value.remedy == "binderbox install host.example"
