"""A federation that is not there yet, the one that was, and what changes on the screen."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from binderbox.cli.federation.watch import watch
from binderbox.cli.session import Session
from binderbox.commands.federation.ask import Asked
from binderbox.commands.federation.look import status
from binderbox.errors import EndpointFailed
from binderbox.federation.members.status import FederationStatus
from binderbox.federation.planning.plan import make_curves, make_plan
from binderbox.federation.planning.render import render_plan
from binderbox.federation.redirector.model import Capacity
from tests.cli.run import binderbox
from tests.federation.checkouts import git, make_checkout
from tests.federation.looking import small_federation
from tests.federation.prime import make_health
from tests.output.schemas import validate_output

TODAY = (Capacity("a", 50, 200), Capacity("b", 50, 200))


def test_a_newcomer_takes_load_off_and_moves_the_first_error() -> None:
    plan = make_plan(TODAY, {"new": 120}, {}, 350, 1.0)
    before, after = plan.scenarios
    assert [one.name for one in after.members] == ["a", "b", "new"]
    new = after.members[2]
    assert 20 <= new.weight <= 30  # of a and b's 50 for 190 usable places each, a part for 110
    assert after.outlook.members[0].sessions < before.outlook.members[0].sessions
    assert after.first_errors > before.first_errors + 80
    assert after.outlook.errors_per_launch <= before.outlook.errors_per_launch
    assert "planned, with 350 sessions at once" in render_plan(plan)


def test_weights_that_are_given_are_taken() -> None:
    plan = make_plan(TODAY, {"new": 120, "a": 300}, {"new": 7}, 350, 1.0)
    assert [(one.name, one.weight, one.quota) for one in plan.scenarios[1].members] == [
        ("a", 50, 300),
        ("b", 50, 200),
        ("new", 7, 120),
    ]


def test_errors_grow_with_load() -> None:
    for curve in make_curves(make_plan(TODAY, {"new": 120}, {}, 350, 1.0)):
        assert list(curve.errors) == sorted(curve.errors)
        assert curve.errors[0] < 0.001
        assert curve.errors[-1] > 0.05


def test_the_command_asks_todays_members(tmp_path: Path) -> None:
    with small_federation(a=50, b=50) as small:
        for name in small.members:
            small.members[name].health = make_health(100, 200)
        where = ["--federation", small.url]
        done = binderbox(
            tmp_path, "federation", "plan", "--quota", "new=120", "--load", "350", *where, "--json"
        )
        told = validate_output(done.stdout, "federation-plan")
        assert [one["name"] for one in told["scenarios"]] == ["today", "planned"]
        text = binderbox(tmp_path, "federation", "plan", "--quota", "new=120", "--load", "350", *where).stdout
        assert "visitors see errors from" in text


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--quota", "new", "--load", "5"), "--quota new: needed is NAME=N"),
        (("--quota", "new=5", "--load", "5"), "weights need a quota above 10"),
        (("--quota", "new=50", "--load", "500"), "500 sessions, but the members have 40 usable places"),
        (("--quota", "new=50", "--load", "0"), "needed are up to 5000 sessions"),
        (("--quota", "new=50", "--load", "5", "--session-h", "1e-9"), "needed are up to 5000 sessions"),
        (("--quota", "new=99999", "--load", "5"), "needed is 5000 at most"),
        (("--quota", "A b=100", "--load", "5"), "cannot be a member's name"),
        (("--quota", "new=50", "--load", "5", "--weight", "x=1"), "--weight names x, which has no quota"),
        (("--quota", "new=50", "--load", "5", "--plot", "x.jpg"), "ends with .png or .svg"),
    ],
)
def test_plans_that_are_none(tmp_path: Path, args: tuple[str, ...], says: str) -> None:
    done = binderbox(tmp_path, "federation", "plan", "--no-ask", *args)
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr


def changed_checkout(path: Path) -> Path:
    made = make_checkout(path)
    config = made / "config/prod.yaml"
    for old, new in (
        ("weight: 30 ", "weight: 10 "),
        ("retention: 90d", "retention: 9d"),
        ("prime: true", "prime: false"),
    ):
        text = config.read_text().replace(old, new, 1)
        config.write_text(
            text.replace("prime: false\n      url: https://second", "prime: true\n      url: https://second")
            if old == "prime: true"
            else text
        )
        git(made, "commit", "-qam", "changed")
    return made


def test_history_tells_each_change_of_the_members(tmp_path: Path) -> None:
    changed_checkout(tmp_path / "deploy")
    done = binderbox(tmp_path, "federation", "history", "--deploy-repo", "deploy", "--json")
    told = validate_output(done.stdout, "federation-history")
    assert [one["what"] for one in told["changes"]] == [
        ["first weight 50, prime", "second weight 30"],
        ["second 30 -> 10"],
        ["first is the prime no more", "second becomes the prime"],
    ]


@pytest.mark.parametrize("since", ["banana", "2025-1-1", "2025-13-45", "2026/01/01"])
def test_days_that_are_none_are_refused(tmp_path: Path, since: str) -> None:
    changed_checkout(tmp_path / "deploy")
    done = binderbox(tmp_path, "federation", "history", "--deploy-repo", "deploy", "--since", since)
    assert (done.returncode, "needed is a day" in done.stderr) == (2, True)


def test_a_time_without_a_change_is_said(tmp_path: Path) -> None:
    changed_checkout(tmp_path / "deploy")
    args = ["federation", "history", "--deploy-repo", "deploy", "--since", "2099-01-01"]
    assert "no change of the members in this time" in binderbox(tmp_path, *args).stdout
    assert "nothing to draw" in binderbox(tmp_path, *args, "--plot", "x.png").stderr


def test_history_of_a_shallow_clone_names_the_remedy(tmp_path: Path) -> None:
    changed_checkout(tmp_path / "deploy")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{tmp_path}/deploy", "shallow")
    done = binderbox(tmp_path, "federation", "history", "--deploy-repo", "shallow")
    assert "git -C shallow fetch --unshallow" in done.stderr
    git(tmp_path / "shallow", "fetch", "-q", "--unshallow")
    assert binderbox(tmp_path, "federation", "history", "--deploy-repo", "shallow").returncode == 0


@pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="binderbox[plots] is not installed"
)
@pytest.mark.parametrize("name", ["plot.png", "plot.svg"])
def test_plots_are_drawn_and_the_same_each_time(tmp_path: Path, name: str) -> None:
    changed_checkout(tmp_path / "deploy")
    drawn = set()
    for _ in range(2):
        plan = [
            "federation",
            "plan",
            "--no-ask",
            "--quota",
            "a=100",
            "--quota",
            "b=60",
            "--load",
            "80",
            "--plot",
            name,
        ]
        assert binderbox(tmp_path, *plan).returncode == 0
        drawn.add((tmp_path / name).read_bytes())
    assert len(drawn) == 1
    head = b"\x89PNG" if name.endswith("png") else b"<?xml"
    assert drawn.pop().startswith(head)
    done = binderbox(tmp_path, "federation", "history", "--deploy-repo", "deploy", "--plot", name)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / name).read_bytes().startswith(head)


def test_watch_prints_only_what_changed(capsys: pytest.CaptureFixture[str]) -> None:
    with small_federation(a=50, b=5) as small:
        seen = status(Asked(small.url))
    b = seen.members[1]
    out = replace(b, active=False, reason="Pod quota", share=0.0)
    looks: list[FederationStatus | EndpointFailed] = [
        seen,
        seen,
        replace(seen, members=(seen.members[0], out)),
        EndpointFailed("no list"),
        replace(seen, members=(seen.members[0], replace(b, weight=15.0, pods=7))),
    ]

    def look() -> FederationStatus:
        found = looks.pop(0)
        if isinstance(found, EndpointFailed):
            raise found
        return found

    def sleep(_: float) -> None:
        if not looks:
            raise KeyboardInterrupt

    last = watch(Session(()), look, sleep=sleep)
    lines = [line.partition("  ")[2] for line in capsys.readouterr().out.splitlines() if line[2:3] == ":"]
    assert lines == [
        "b: active yes -> no, reason none -> Pod quota, share 0.0909 -> 0",
        "no list",
        "b: weight 5 -> 15, active no -> yes, reason Pod quota -> none, share 0 -> 0.0909",
    ]
    assert last.members[1].weight == 15
