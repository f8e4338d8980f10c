"""A launch whose page came from the BinderHub that was just replaced."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from binderbox.commands import prove
from binderbox.errors import LaunchFailed
from binderbox.member.model import Networks

READY = {"phase": "ready", "url": "https://hub/user/x/", "token": "t", "image": "i"}


class Member:
    """Its pages carry one token after the other; it takes `good` alone."""

    def __init__(self, tokens: list[str], good: str) -> None:
        self.tokens, self.good, self.asked = tokens, good, 0

    def request(self, method: str, url: str) -> Any:
        return SimpleNamespace(status_code=200, text=f'"buildToken": "{self.tokens.pop(0)}"')

    def events(self, url: str, *, silence_s: float) -> Iterator[dict[str, Any]]:
        self.asked += 1
        right = parse_qs(urlsplit(url).query)["build_token"] == [self.good]
        yield READY if right else {"phase": "failed", "status_code": 403, "message": "Invalid build token\n"}


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "pods_of_image", lambda host, image: [])


def launch(member: Member) -> str:
    told = SimpleNamespace(waiting=lambda *_: None)
    host = SimpleNamespace(name="host.example", log=SimpleNamespace(path="log"))
    visit = prove.Visit(
        cast(Any, host), cast(Any, None), "https://binder", cast(Any, member), cast(Any, told), Networks()
    )
    return prove.launch(visit, "https://github.com/a/b", "main")[1].image


def test_a_page_of_yesterday_s_binderhub_is_asked_for_once_more() -> None:
    member = Member(["old", "new"], "new")
    assert (launch(member), member.asked) == ("i", 2)


def test_a_token_that_stays_wrong_is_told() -> None:
    member = Member(["old", "old", "new"], "new")
    with pytest.raises(LaunchFailed) as told:
        launch(member)
    assert told.value.cause == "Invalid build token"
    assert member.asked == 2
