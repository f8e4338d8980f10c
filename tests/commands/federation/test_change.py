"""join, leave, weight and drain as a user runs them: what is told, what is written, what is refused."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from binderbox.federation.deployrepo.tree import CONFIG
from tests.cli.run import Done, binderbox
from tests.federation.checkouts import FILES, git, make_checkout
from tests.federation.members.test_look_tls import Secured, secured
from tests.federation.prime import Prime, make_health
from tests.output.schemas import validate_output

__all__ = ["secured"]


@dataclass
class There:
    """A checkout whose two members answer, the first is the prime."""

    path: Path
    first: Prime
    second: Prime

    def run(self, *args: str, where: str = "deploy") -> Done:
        return binderbox(self.path.parent, "federation", *args, "--deploy-repo", where)

    def told(self, *args: str) -> dict[str, Any]:
        return validate_output(self.run(*args, "--json").stdout, f"federation-{args[0]}")

    @property
    def branches(self) -> list[str]:
        return git(self.path, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").splitlines()


@pytest.fixture
def there(tmp_path: Path) -> Iterator[There]:
    with Prime(health=make_health(10, 300)) as first, Prime(health=make_health(0, 100)) as second:
        yield There(make_checkout(tmp_path / "deploy", first.url, second.url), first, second)


def test_weight_shows_its_effect_and_writes_one_commit(there: There) -> None:
    done = there.run("weight", "second", "10", "--why", "It is slow.")
    assert done.returncode == 0
    assert "\n-      weight: 30   # bigger since May\n+      weight: 10   # bigger since May\n" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["first", "50", "62.5%", "->", "83.3%", "75.0%", "300"] in rows
    assert ["second", "30", "->", "10", "37.5%", "->", "16.7%", "25.0%", "100"] in rows
    assert there.branches == ["binderbox/weight-second-10", "main"]
    assert "It is slow." in git(there.path, "log", "-1", "--format=%B", "binderbox/weight-second-10")
    assert git(there.path, "diff", "--stat", "main", "binderbox/weight-second-10").endswith(
        "1 insertion(+), 1 deletion(-)"
    )
    told = there.told("weight", "second", "10")
    assert (told["changed"], told["branch"], told["exit"]) == (False, "binderbox/weight-second-10", 0)
    assert told["commit"] == git(there.path, "rev-parse", "binderbox/weight-second-10")
    assert git(there.path, "status", "--porcelain") == ""


def test_who_is_out_has_no_share(there: There) -> None:
    there.second.health = make_health(95, 100)
    told = there.told("weight", "second", "10", "--dry-run")
    assert [(one["share_before"], one["active"]) for one in told["members"]] == [(1.0, True), (0.0, False)]
    assert told["notes"] == ["out of rotation now, and without a share: second (Pod quota)"]
    there.second.close()
    told = there.told("weight", "second", "10", "--dry-run")
    assert [one["capacity_share"] for one in told["members"]] == [None, None]
    assert "no quota is known of second" in told["notes"][1]
    assert there.branches == ["main"]


def test_a_weight_that_is_there_is_no_change(there: There) -> None:
    done = there.run("weight", "second", "30", "--no-ask")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        0,
        "second: no change: all of it is there already",
    )
    assert there.branches == ["main"]


def test_drain_is_weight_0_on_a_branch_of_its_own(there: There) -> None:
    told = there.told("drain", "second")
    assert [one["share_after"] for one in told["members"]] == [1.0, 0.0]
    assert there.branches == ["binderbox/drain-second", "main"]
    git(there.path, "merge", "-q", "binderbox/drain-second")
    told = there.told("weight", "second", "30")  # what giving it a weight again does is shown too
    assert [round(one["share_after"], 3) for one in told["members"]] == [0.625, 0.375]


JOIN = ("join", "https://binder.example.org", "--name", "new", "--run-by", "Example U", "--contact", "ops@example.org", "--sponsor", "Two",
        "--sponsor-url", "https://two.example.org", "--no-ask")  # fmt: skip


def test_join_writes_all_of_it_and_leave_takes_it_away(there: There) -> None:
    told = there.told(*JOIN)
    assert (told["ready"], told["exit"], told["branch"]) == (None, 0, "binderbox/join-new")
    assert told["files"] == list(FILES)[:2] + list(FILES)[3:]
    assert told["handover"][0]["command"] == "binderbox secrets set HOST build-token"
    assert "- [x] the redirector's entry, weight 5, never prime (config/prod.yaml)\n" in told["body"]
    assert "- [ ] operators hand over the build token" in told["body"]
    assert "weight: 5" in told["post"]
    assert not there.told(*JOIN)["changed"]
    git(there.path, "merge", "-q", "binderbox/join-new")
    again = there.told(*JOIN)
    assert (again["commit"], again["diff"]) == ("", "")
    assert sorted(there.told("leave", "new", "--no-ask")["files"]) == sorted(told["files"])
    assert git(there.path, "diff", "main~1", "binderbox/leave-new") == ""
    shown = there.run(*JOIN[:-1], "--no-ask").stdout
    assert "What operators of the federation hand over" in shown
    assert shown.splitlines()[-1] == "new: nobody was asked whether it is ready"


def test_a_clone_of_an_address_is_there_only_with_its_commit(
    there: There, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Somebody")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "somebody@example.org")
    url = f"file://{there.path}"
    assert there.run("weight", "first", "0", "--no-ask", where=url).returncode == 2
    assert there.run("weight", "second", "9", "--no-ask", "--dry-run", where=url).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deploy"]
    assert there.run("weight", "second", "9", "--no-ask", where=url).returncode == 0
    assert (
        git(tmp_path / "mybinder.org-deploy", "branch", "--list", "binderbox/*")
        == "binderbox/weight-second-9"
    )
    assert there.branches == ["main"]


REFUSED = [
    (("weight", "first", "0"), "BBX-112", "first is the prime"),
    (("drain", "first"), "BBX-112", "first is the prime"),
    (("leave", "first"), "BBX-112", "first is the prime"),
    (
        ("weight", "nobody", "5"),
        "BBX-111",
        "nobody is no member in config/prod.yaml; there are first, second",
    ),
    (("leave", "nobody"), "BBX-111", "nobody is no member"),
    (("drain", "nobody"), "BBX-111", "nobody is no member"),
    (("weight", "second", "-5"), "BBX-102", "weight -5: needed is a whole number"),
    (("weight", "second", "2.5"), "BBX-102", "weight 2.5: needed is a whole number"),
    (
        ("join", "https://binder.example.org", "--name", "second", "--contact", "a@example.org"),
        "BBX-111",
        "has a member second already",
    ),
    (("join", "https://binder.example.org", "--no-ask"), "BBX-102", "has no contact"),
    (("join", "https://mybinder.org", "--no-ask"), "BBX-102", "is the federation itself"),
    (("join", "HTTPS://MyBinder.org:443/", "--name", "x", "--no-ask"), "BBX-102", "is the federation itself"),
    (("join", "https://192.0.2.1", "--name", "x", "--no-ask"), "BBX-102", "needed is a name, not 192.0.2.1"),
    (("join", "https://binder.example.org", "--weight", "lots"), "BBX-102", "weight lots"),
    (("join", "https://binder.example.org", "--run-by", "a\nb"), "BBX-102", "plain words on one line"),
    (("join", "http://binder.example.org"), "BBX-102", "needed is an address such as https://"),
    (("weight", "second", "5", "--federation", "mybinder.org"), "BBX-102", "--federation mybinder.org"),
]


@pytest.mark.parametrize(("args", "code", "says"), REFUSED, ids=[" ".join(row[0][:3]) for row in REFUSED])
def test_what_is_refused_changes_nothing(there: There, args: tuple[str, ...], code: str, says: str) -> None:
    done = there.run(*args, "--no-ask", "--json")
    told = validate_output(done.stdout, f"federation-{args[0]}")
    assert (done.returncode, told["exit"], told["error"]["code"]) == (2, 2, code)
    assert says in told["error"]["message"]
    assert there.branches == ["main"]
    assert git(there.path, "status", "--porcelain") == ""


def test_what_stands_in_the_way_is_named_before_anything_is_written(there: There) -> None:
    (there.path / CONFIG).write_text("mine: 1\n")
    done = there.run("weight", "second", "5", "--no-ask")
    assert done.returncode == 2
    assert f"error BBX-111: deploy has local changes in {CONFIG}; nothing was written" in done.stderr
    assert (
        there.run("weight", "second", "5", "--no-ask", "--dry-run").returncode == 0
    )  # shown from the last commit
    git(there.path, "rm", "-q", "-f", "mybinder/values.yaml")
    git(there.path, "commit", "-q", "-a", "-m", "gone")
    done = there.run("weight", "second", "5", "--no-ask")
    assert "mybinder/values.yaml is missing" in done.stderr
    assert there.branches == ["main"]


def test_without_a_repository_only_the_effect_is_shown(secured: Secured, tmp_path: Path) -> None:
    done = secured.run(tmp_path, "weight", "a", "10", "--json")
    told = validate_output(done.stdout, "federation-weight")
    assert (told["exit"], told["commit"], told["diff"]) == (0, "", "")
    assert [one["share_after"] for one in told["members"]] == [1.0]
    assert "a commit needs --deploy-repo" in told["notes"][-1]
    assert secured.run(tmp_path, "drain", "a").returncode == 2
    assert secured.run(tmp_path, "weight", "b", "1").returncode == 2


def test_join_says_ready_only_when_the_check_passes(secured: Secured, tmp_path: Path) -> None:
    path = make_checkout(tmp_path / "deploy", secured.prime.url)
    git(path, "config", "advice.detachedHead", "false")
    args = ("join", secured.new.url, "--name", "new", "--contact", "a@example.org", "--deploy-repo", "deploy")
    done = secured.run(tmp_path, *args, "--json")
    told = validate_output(done.stdout, "federation-join")
    assert (told["ready"], told["exit"], told["changed"]) == (True, 0, True)
    assert [step["done"] for step in told["checklist"]][-6:] == [True, True, True, False, False, False]
    secured.new.secret = b"1" * 32
    done = secured.run(tmp_path, *args, "--json")
    told = validate_output(done.stdout, "federation-join")
    assert (told["ready"], told["exit"], told["changed"]) == (False, 5, False)
    assert "- [ ] operators hand over the build token" in told["body"]
    assert "`binderbox federation check` does not pass yet:\n- BBX-F" in told["post"]
    done = secured.run(
        tmp_path, "join", secured.new.url, "--contact", "a@example.org"
    )  # a volunteer without rights: the text to post
    assert done.returncode == 5
    assert "Title: Register https://localhost" in done.stdout
    assert "not ready" in done.stdout.splitlines()[-1]


def test_the_command_that_leave_names_for_the_thanks_works(there: There) -> None:
    told = there.told("leave", "second", "--no-ask")
    (note,) = [one for one in told["notes"] if "--sponsor-url URL" in one]
    first, _, second = note.partition(": ")[2].partition(" && ")
    git(there.path, *shlex.split(first)[3:])
    args = shlex.split(second.replace("URL", "http://one.example.org/"))
    again = binderbox(there.path.parent, *args[1:], "--no-ask")
    assert again.returncode == 0, again.stderr
    assert there.branches == ["binderbox/leave-second", "main"]


def test_a_weight_that_is_no_number_is_mended_by_weight(there: There) -> None:
    config = there.path / CONFIG
    config.write_text(config.read_text().replace("weight: 30 ", 'weight: "30" '))
    git(there.path, "commit", "-qam", "odd")
    refused = there.run("drain", "first")
    assert (
        "hosts.second.weight: expected a number of at least 0, found '30'; with it every launch ends in a 500"
        in refused.stderr
    )
    told = there.told("weight", "second", "30", "--no-ask")
    assert told["title"] == "Weight of second from '30' to 30"
    assert '-      weight: "30"   # bigger since May\n+      weight: 30   # bigger since May' in told["diff"]
