"""When the next weight is due, and why not yet: the pure decision, and the command on a small federation."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from binderbox.federation.following.launches import Launches, parse_launches
from binderbox.federation.members.noted import Counted
from binderbox.federation.members.ramp import Ramp, decide, parse_steps
from binderbox.federation.redirector.config import make_config
from binderbox.federation.redirector.rules import Standing
from tests.cli.run import Done, binderbox
from tests.federation.looking import Small, small_federation
from tests.federation.prime import make_health
from tests.output.schemas import validate_output

STEPS = (5.0, 15.0, 30.0, 50.0)
WELL = Standing("n", True)


def decided(weight: float = 5, **changes: Any) -> Ramp:
    def entry(name: str, own: float, prime: bool = False) -> dict[str, Any]:
        url = f"https://{name}.example"
        return {"url": url, "health": url, "versions": url, "weight": own, "prime": prime}

    hosts = {"a": entry("a", 50, True), "b": entry("b", 50), "n": entry("n", weight)}
    known: dict[str, Any] = {
        "standing": WELL,
        "active": ["a", "b", "n"],
        "deployed": {"a": 50.0, "b": 50.0, **({"n": weight} if weight else {})},
        "now": Counted(Launches(99, 1)),
        "begun": Counted(Launches(0, 0)),
        "pods": 4,
        "quota": 60,
        "reference": True,
        "elsewhere": "",
    }
    return decide(make_config({"hosts": hosts}), "n", STEPS, **{**known, **changes})


@pytest.mark.parametrize(("weight", "due"), [(0, 5), (1, 5), (5, 15), (15, 30), (20, 30), (30, 50)])
def test_the_next_higher_step_is_due(weight: float, due: float) -> None:
    found = decided(weight)
    assert (found.due, found.done, found.why_not) == (due, False, ())


@pytest.mark.parametrize("weight", [50, 70])
def test_at_the_last_step_nothing_is_due(weight: float) -> None:
    found = decided(weight, standing=Standing("n", False, "versions", "x"))
    assert (found.due, found.done) == (None, True)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"standing": Standing("n", False, "Pod quota", "51 of 60")}, "would not send it launches: Pod quota, 51 of 60"),
        ({"deployed": {"n": 1.0}}, "the redirector still uses weight 1: the last change is not deployed"),
        ({"now": None}, "its /metrics tell nothing of launches"),
        ({"elsewhere": "https://x.example"}, "the redirector has n at https://x.example"),
        ({"reference": False}, "the prime's versions are not known"),
        ({"deployed": None}, "the redirector does not say whether it uses weight 5"),
        ({"deployed": {"a": 50.0}}, "the redirector has no member n in rotation"),
        ({"begun": None}, "how many launches there were when the redirector began to use this weight is not known"),
        ({"begun": Counted(Launches(50, 1))}, "49 launches with this weight, 50 are needed"),
        ({"now": Counted(Launches(94, 6))}, "94.0% of 100 launches with this weight worked, 95% are needed"),
        ({"pods": None}, "its /health tells no pods"),
        # 5 of 105 is 4.8 %, 15 of 115 is 13.0 %: 2.74 times as many pods
        ({"pods": 19, "quota": 62}, "about 52 with weight 15"),
    ],
)  # fmt: skip
def test_each_reason_why_not_yet(changes: dict[str, Any], why: str) -> None:
    found = decided(**changes)
    assert (found.due, found.done) == (None, False)
    (told,) = found.why_not
    assert why in told


def test_the_edge_of_the_places_is_the_redirectors_own() -> None:
    """It takes a member out when pods + headroom reach the quota; 19 pods become 52.01 at weight 15."""
    assert decided(pods=19, quota=63).due == 15
    assert decided(pods=19, quota=62).due is None
    assert decided(pods=19, quota=None).due == 15


def test_a_member_without_weight_needs_no_launches_yet() -> None:
    assert decided(0, now=None, begun=None, pods=0, quota=20).due == 5


def test_all_reasons_are_told_at_once() -> None:
    found = decided(
        standing=Standing("n", False, "unknown", "x"), now=Counted(Launches(0, 9)), deployed={"n": 1.0}
    )
    assert len(found.why_not) == 3


@pytest.mark.parametrize(
    "text", ["", "5,", "a", "5,5", "15,5", "0,5", "-1", "5.5", "5;15", "1e3", "\N{ARABIC-INDIC DIGIT FIVE}"]
)
def test_steps_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|must be"):
        parse_steps(text)


def test_steps() -> None:
    assert parse_steps("5, 15,30,50") == STEPS


def test_launches_are_read_from_binderhubs_own_counters() -> None:
    text = (
        "# TYPE binderhub_launch_time_seconds histogram\n"
        'binderhub_launch_time_seconds_bucket{le="2.0",retries="0",status="success"} 3.0\n'
        'binderhub_launch_time_seconds_count{retries="0",status="success"} 40.0\n'
        'binderhub_launch_time_seconds_count{retries="1",status="success"} 2.0\n'
        'binderhub_launch_time_seconds_count{retries="-1",status="retry"} 9.0\n'
        'binderhub_launch_time_seconds_count{retries="-1",status="failure"} 1.0\n'
    )
    assert parse_launches(text) == Launches(42, 1)
    assert parse_launches("# nothing\n") is None


def ramp(small: Small, directory: Path, *args: str) -> Done:
    command = ("federation", "ramp", *args, "--deploy-repo", "deploy", "--federation", small.url)
    return binderbox(directory, *command)


def git(directory: Path, *args: str) -> str:
    done = subprocess.run(
        ["git", *args], cwd=directory / "deploy", capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_step_that_is_due_becomes_a_commit_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    with small_federation(a=50, b=5) as small:
        small.repository(tmp_path / "deploy")
        small.members["b"].health = make_health(2, 60)
        small.members["b"].counts = (99, 1)
        done = ramp(small, tmp_path, "b", "5,15,30", "--json")
        told = validate_output(done.stdout, "federation-ramp")
        assert (done.returncode, told["due"], told["done"], told["why_not"]) == (0, 15, False, [])
        assert told["measured"][1] == "99 launches worked, 1 failed, with this weight"
        changed = git(
            tmp_path,
            "diff",
            "--numstat",
            "main" if "main" in git(tmp_path, "branch") else "master",
            told["branch"],
        )
        assert changed == "1\t1\tconfig/prod.yaml\n"
        assert "99 launches worked" in git(tmp_path, "log", "-1", "--format=%B", told["branch"])
        # the repository's own branch still says 5, and so does the redirector: the same step is due, and written
        again = validate_output(ramp(small, tmp_path, "b", "5,15,30", "--json").stdout, "federation-ramp")
        assert (again["due"], again["changed"], again["commit"]) == (15, False, told["commit"])


def test_the_same_launches_do_not_count_for_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    with small_federation(a=50, b=5) as small:
        small.repository(tmp_path / "deploy")
        small.members["b"].health = make_health(2, 60)
        small.members["b"].counts = (100, 0)
        first = validate_output(ramp(small, tmp_path, "b", "5,15,30", "--json").stdout, "federation-ramp")
        git(tmp_path, "merge", "-q", first["branch"])
        waits = validate_output(ramp(small, tmp_path, "b", "5,15,30", "--json").stdout, "federation-ramp")
        assert (waits["exit"], waits["due"], len(waits["why_not"])) == (5, None, 2)  # not deployed, not known
        small.redirector.config = small.redirector.config.with_weight("b", 15)  # deployed
        small.members["b"].counts = (130, 0)
        for counts, told in (
            ((130, 0), "0 launches with this weight"),
            ((179, 0), "49 launches with this weight"),
        ):
            small.members["b"].counts = counts
            waits = validate_output(ramp(small, tmp_path, "b", "5,15,30", "--json").stdout, "federation-ramp")
            assert (waits["due"], waits["why_not"]) == (None, [f"{told}, 50 are needed to judge"])
        small.members["b"].counts = (180, 0)
        due = validate_output(ramp(small, tmp_path, "b", "5,15,30", "--json").stdout, "federation-ramp")
        assert (due["due"], due["exit"]) == (30, 0)


def test_a_step_that_is_not_due_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    with small_federation(a=50, b=5) as small:
        small.repository(tmp_path / "deploy", b=15)
        small.members["b"].health = make_health(2, 60)
        small.members["b"].counts = None
        before = git(tmp_path, "for-each-ref")
        done = ramp(small, tmp_path, "b", "5,15,30", "--json")
        told = validate_output(done.stdout, "federation-ramp")
        assert (done.returncode, told["due"], told["branch"], told["diff"]) == (5, None, "", "")
        assert told["why_not"] == [
            "the redirector still uses weight 5: the last change is not deployed",
            "its /metrics tell nothing of launches",
        ]
        text = ramp(small, tmp_path, "b", "5,15,30").stdout
        assert "b: not yet" in text
        assert validate_output(ramp(small, tmp_path, "b", "5,15", "--json").stdout, "federation-ramp")["done"]
        unknown = ramp(small, tmp_path, "z", "5,15")
        assert (unknown.returncode, "z is no member" in unknown.stderr) == (2, True)
        assert ramp(small, tmp_path, "b", "15,5").returncode == 2
        assert git(tmp_path, "for-each-ref") == before
