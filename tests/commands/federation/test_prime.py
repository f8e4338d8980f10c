"""Another prime: two lines, refused where it would harm, and who drops out is foretold."""

from __future__ import annotations

import pytest

from tests.commands.federation.test_change import There, there
from tests.federation.checkouts import git
from tests.federation.prime import VERSIONS, make_health

__all__ = ["there"]


def test_two_lines_make_another_member_the_prime(there: There) -> None:
    told = there.told("prime", "second", "--why", "The first one rests.")
    assert (told["exit"], told["branch"]) == (0, "binderbox/prime-second")
    rows = [row for row in told["diff"].splitlines() if row[:1] in "+-" and row[:3] not in ("+++", "---")]
    assert rows == ["-      prime: true", "+      prime: false", "-      prime: false", "+      prime: true"]
    assert "The first one rests." in git(there.path, "log", "-1", "--format=%B", told["branch"])
    git(there.path, "merge", "-q", told["branch"])
    assert not there.told("prime", "second")["diff"]
    assert there.told("prime", "first")["diff"]


def test_weights_change_with_it(there: There) -> None:
    git(there.path, "switch", "-q", "-c", "zero")
    text = (there.path / "config/prod.yaml").read_text().replace("weight: 30 ", "weight: 0 ")
    (there.path / "config/prod.yaml").write_text(text)
    git(there.path, "commit", "-qam", "none")
    done = there.run("prime", "second")
    assert (done.returncode, "second has weight 0" in done.stderr) == (2, True)
    assert "--weight second=50" in done.stderr
    told = there.told("prime", "second", "--weight", "second=20", "--weight", "first=0")
    assert "+      weight: 20" in told["diff"]
    assert "+      weight: 0" in told["diff"]
    assert [one["share_after"] for one in told["members"]] == [0.0, 1.0]


@pytest.mark.parametrize("fault", ["unhealthy", "other versions", "silent"])
def test_a_candidate_that_would_harm_is_refused(there: There, fault: str) -> None:
    if fault == "unhealthy":
        there.second.health = make_health(95, 100)
    elif fault == "silent":
        there.second.close()
    else:
        there.second.versions = {**VERSIONS, "binderhub": "other"}
    done = there.run("prime", "second")
    assert done.returncode == 2
    assert "BBX-112" in done.stderr
    assert "second must not become the prime: " in done.stderr
    assert there.branches == ["main"]


def test_a_prime_that_says_nothing_can_be_replaced_and_who_drops_out_is_foretold(there: There) -> None:
    there.first.close()
    told = there.told("prime", "second")
    assert told["exit"] == 0
    assert [one["share_after"] for one in told["members"]] == [0.0, 1.0]
    assert any("compared with nobody's: the prime first does not answer" in note for note in told["notes"])


def test_who_lacks_the_new_versions_is_out_until_it_follows(there: There) -> None:
    """The prime of today has newer versions than all others: making one of those the prime lets them in again."""
    there.first.versions = {**VERSIONS, "binderhub": "newer"}
    done = there.run("prime", "second")
    assert "its versions are not those of the prime first" in done.stderr
    told = there.told("prime", "second", "--no-ask")
    assert any("nobody was asked" in note for note in told["notes"])


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("prime", "nobody"), "nobody is no member"),
        (("prime", "second", "--weight", "5"), "needed is NAME=N"),
        (("prime", "second", "--weight", "second=-1"), "needed is a whole number"),
        (("prime", "second", "--weight", "who=1"), "who is no member"),
    ],
)
def test_bad_input_changes_nothing(there: There, args: tuple[str, ...], says: str) -> None:
    done = there.run(*args)
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert there.branches == ["main"]
