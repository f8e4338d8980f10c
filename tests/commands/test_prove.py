"""A launch whose page came from the BinderHub that was just replaced."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from binderbox.commands import prove
from binderbox.errors import LaunchFailed
from binderbox.launch.names import judge_fetch
from binderbox.member.model import Networks

READY = {"phase": "ready", "url": "https://hub/user/x/", "token": "t", "image": "i"}


class Member:
    """Its pages carry one token after the other; it takes `good` alone. First its ingress says `without_it` that nobody is there."""

    def __init__(self, tokens: list[str], good: str, without_it: tuple[int, ...] = ()) -> None:
        self.tokens, self.good, self.asked, self.without_it = tokens, good, 0, list(without_it)

    def request(self, method: str, url: str) -> Any:
        if self.without_it:
            return SimpleNamespace(status_code=self.without_it.pop(0), text="Bad Gateway")
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


def test_an_ingress_that_has_not_seen_the_new_pod_yet_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(prove.time, "sleep", waited.append)
    member = Member(["new"], "new", (502, 503, 504))
    assert (launch(member), member.asked, len(waited)) == ("i", 1, 3)


def test_an_ingress_behind_which_nobody_comes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "SEEN_S", 0)
    with pytest.raises(LaunchFailed) as told:
        launch(Member([], "", (502, 502)))
    assert "HTTP 502" in str(told.value.cause)


def test_a_token_that_stays_wrong_is_told() -> None:
    member = Member(["old", "old", "new"], "new")
    with pytest.raises(LaunchFailed) as told:
        launch(member)
    assert told.value.cause == "Invalid build token"
    assert member.asked == 2


class Forgetful(Member):
    """It loses sight of a build, which ends well all the same."""

    def events(self, url: str, *, silence_s: float) -> Iterator[dict[str, Any]]:
        self.asked += 1
        if self.asked > 1:
            yield READY
            return
        yield {"phase": "building", "message": "#8 DONE 4.9s\n"}
        yield {"phase": "failed", "message": f"{prove.LOST_SIGHT}\n"}


def test_a_build_that_binderhub_lost_sight_of_is_asked_for_once_more() -> None:
    member = Forgetful(["a", "a"], "a")
    assert (launch(member), member.asked) == ("i", 2)


# Stands where buildctl does: it says what a file of this name says to such a Dockerfile, or nothing for long.
BUILDCTL = """\
for last; do :; done
while read -r verb what _; do
  case $verb$what in FROMscratch) ;; *) at=$verb ;; esac
  echo "$verb $what"
done <"${last#dockerfile=}/Dockerfile"
cat "$0.$at" 2>/dev/null || exec sleep 9
"""


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ({"FROM": "lookup n.example: no such host"}, "pass"),
        ({"FROM": "lookup n.example on 192.0.2.1:53: i/o timeout"}, "fail"),
        ({"ADD": "lookup n.example.: no such host"}, "pass"),
        ({"ADD": "lookup n.example. on 192.0.2.1:53: i/o timeout"}, "fail"),
        ({}, "fail"),
    ],
    ids=["answered", "not answered", "found by a wildcard", "found by none", "silent"],
)
def test_a_name_that_a_search_domain_leads_nowhere_is_asked_for_at_its_root(
    tmp_path: Path, answers: dict[str, str], verdict: str
) -> None:
    program = tmp_path / "buildctl"
    program.write_text(BUILDCTL)
    for verb, said in answers.items():
        (tmp_path / f"buildctl.{verb}").write_text(said)
    words = ["sh", "-c", prove.FETCH, "sh", "n.example", "1", "sh", str(program)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert judge_fetch("n.example", said).verdict == verdict, said
