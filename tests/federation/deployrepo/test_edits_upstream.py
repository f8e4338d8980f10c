"""The edits on the federation's own files: exactly these lines, back again byte for byte, and refusals."""

from __future__ import annotations

import pytest

from binderbox.errors import BinderboxError, DeployRepoError, RuleBroken, UsageError
from binderbox.federation.deployrepo.change import Change, render_diff
from binderbox.federation.deployrepo.edits import Newcomer, join, leave, make_newcomer, weight
from binderbox.federation.deployrepo.tree import (
    CHART,
    CONFIG,
    DOCS,
    VALUES,
    WANTED,
    DeployTree,
    make_tree,
    redirector_config,
)
from tests.places import UPSTREAM

DEPLOY = UPSTREAM / "mybinder.org-deploy"
pytestmark = pytest.mark.skipif(not DEPLOY.is_dir(), reason="../shared is not here: no upstream files")
PAGE = b"(federation)=\n\n# The federation\n\n1.  _Optional._ Comment it out in\n    [this](https://example.org)\n    file\n"


@pytest.fixture
def tree() -> DeployTree:
    files = {path: (DEPLOY / path).read_bytes() for path in WANTED if (DEPLOY / path).is_file()}
    return make_tree({**files, DOCS: PAGE})


@pytest.fixture
def member() -> Newcomer:
    return make_newcomer(
        "example-u",
        "https://binder.example.org",
        run_by="Example University",
        where="Berlin",
        contact="https://example.org/binder",
        sponsor="Example & Sons",
        sponsor_url="https://sons.example.org",
    )


def changed_rows(tree: DeployTree, change: Change) -> list[str]:
    rows = render_diff(tree, change).splitlines()
    return [row for row in rows if row[:1] in "+-" and not row.startswith(("+++", "---"))]


def test_weight_changes_exactly_one_line(tree: DeployTree) -> None:
    change = weight(tree, "bids-ovh", 20)
    assert changed_rows(tree, change) == ["-      weight: 50", "+      weight: 20"]
    assert "@@ -206,7 +206,7 @@" in render_diff(tree, change)
    after = tree.with_files(change.files)
    assert not weight(after, "bids-ovh", "20").files
    assert after.with_files(weight(after, "bids-ovh", 50).files).files == tree.files


def test_join_adds_these_lines_and_no_other(tree: DeployTree, member: Newcomer) -> None:
    change = join(tree, member)
    rows = changed_rows(tree, change)
    assert [row[1:] for row in rows if row.startswith("-")] == [
        '        Thanks to <a href="https://www.gesis.org">GESIS</a>, <a href="https://2i2c.org">2i2c</a>, and '
        '<a href="https://bids.berkeley.edu">BIDS</a> for supporting us! 🎉'
    ]
    assert [row[1:] for row in rows if row.startswith("+")] == [
        "  # members that run on machines of their own",
        "  extraScrapeConfigs: |",
        "    - job_name: registered-members",
        "      scheme: https",
        "      static_configs:",
        "        - targets:",
        "            - binder.example.org",
        "    # registered member, run by Example University, in Berlin: not deployed from here; thanks to "
        "https://sons.example.org",
        "    example-u:",
        "      prime: false",
        "      url: https://binder.example.org",
        "      weight: 5",
        "      health: https://binder.example.org/health",
        "      versions: https://binder.example.org/versions",
        '        Thanks to <a href="https://www.gesis.org">GESIS</a>, <a href="https://2i2c.org">2i2c</a>, '
        '<a href="https://bids.berkeley.edu">BIDS</a>, and <a href="https://sons.example.org">Example &amp; Sons</a> '
        "for supporting us! 🎉",
        "",
        "## Registered members",
        "",
        "They run on machines of their own and are reached by their address. Nothing here deploys them: besides this "
        "list, only `config/prod.yaml` and the thanks in `mybinder/values.yaml` name them.",
        "",
        "- [example-u](https://binder.example.org), run by Example University, in Berlin, contact: "
        "<https://example.org/binder>",
    ]
    assert all(step.done for step in change.steps)


def test_join_then_leave_gives_the_files_back_byte_for_byte(tree: DeployTree, member: Newcomer) -> None:
    joined = tree.with_files(join(tree, member).files)
    assert not join(joined, member).files
    other = make_newcomer(
        "other", "https://other.example.org", sponsor="O", sponsor_url="https://o.example.org"
    )
    both = joined.with_files(join(joined, other).files)
    assert redirector_config(both).hosts[-2:] == (member.entry, other.entry)
    only_other = both.with_files(leave(both, member.name).files)
    assert only_other.files != tree.files
    assert only_other.with_files(leave(only_other, other.name).files).files == tree.files
    assert both.with_files(leave(both, other.name).files).files == joined.files
    assert joined.with_files(leave(joined, member.name).files).files == tree.files


def test_a_line_of_spaces_below_the_monitoring_target_does_no_harm(
    tree: DeployTree, member: Newcomer
) -> None:
    text = tree.files[CONFIG].replace(b"tls-prometheus\n\n", b"tls-prometheus\n         \n")
    odd = tree.with_files({CONFIG: text})
    joined = odd.with_files(join(odd, member).files)
    assert joined.with_files(leave(joined, member.name).files).files == odd.files


def test_a_weight_that_was_raised_since_is_left_alone(tree: DeployTree, member: Newcomer) -> None:
    joined = tree.with_files(join(tree, member).files)
    ramped = joined.with_files(weight(joined, member.name, 30).files)
    again = join(ramped, member)
    assert not again.files
    assert "with weight 30" in again.steps[0].note


def test_leave_of_a_deployed_member_names_what_is_left_to_do(tree: DeployTree) -> None:
    names = frozenset(
        {"config/hetzner-gesis.yaml", "terraform/hetzner/hetzner-gesis.tfvars", "config/prod.yaml"}
    )
    change = leave(DeployTree(tree.files, names), "hetzner-gesis")
    assert changed_rows(tree, change) == [
        "-    hetzner-gesis:",
        "-      prime: false",
        "-      url: https://gesis.mybinder.org",
        "-      weight: 50",
        "-      health: https://gesis.mybinder.org/health",
        "-      versions: https://gesis.mybinder.org/versions",
    ]
    left = [step for step in change.steps if not step.done]
    assert ["thanks" in left[0].what, "config/hetzner-gesis.yaml" in left[1].note] == [True, True]
    thanked = leave(tree, "hetzner-gesis", "https://www.gesis.org")
    assert b"GESIS" not in thanked.files[VALUES].split(b"Thanks to")[1].splitlines()[0]


REFUSED: list[tuple[str, type[BinderboxError], str]] = [
    ("weight(tree, 'hetzner-2i2c', 0)", RuleBroken, "is the prime; with weight 0"),
    ("leave(tree, 'hetzner-2i2c')", RuleBroken, "is the prime; without it"),
    (
        "weight(tree, 'bids', 5)",
        DeployRepoError,
        "bids is no member in config/prod.yaml; there are hetzner-2i2c, ",
    ),
    ("leave(tree, 'bids')", DeployRepoError, "bids is no member"),
    ("weight(tree, 'bids-ovh', '2.5')", UsageError, "needed is a whole number"),
    ("weight(tree, 'bids-ovh', '-1')", UsageError, "needed is a whole number"),
    ("weight(tree, 'bids-ovh', '٣')", UsageError, "needed is a whole number"),
    (
        "join(tree, make_newcomer('bids-ovh', 'https://b.example.org'))",
        DeployRepoError,
        "has a member bids-ovh already",
    ),
    (
        "join(tree, make_newcomer('b', 'https://BIDS.mybinder.org/'))",
        DeployRepoError,
        "under the name bids-ovh",
    ),
    (
        "join(tree, make_newcomer('b', 'https://b.example.org', weight=0))",
        RuleBroken,
        "would join with weight 0",
    ),
    ("make_newcomer('No', 'https://b.example.org')", UsageError, "cannot be a member's name"),
    ("make_newcomer('no', 'https://b.example.org')", UsageError, "cannot be a member's name"),
    ("make_newcomer('12', 'https://b.example.org')", UsageError, "cannot be a member's name"),
    ("make_newcomer('b', 'ftp://b.example.org')", UsageError, "needed is an address"),
    ("make_newcomer('b', 'https://b.example.org/ # x')", UsageError, "needed is an address"),
    ("make_newcomer('b', 'https://b.example.org', run_by='a: b\\nc')", UsageError, "plain words on one line"),
    ("make_newcomer('b', 'https://b.example.org', run_by='<b>')", UsageError, "plain words on one line"),
    ("make_newcomer('b', 'https://b.example.org', sponsor='S')", UsageError, "--sponsor-url"),
]


@pytest.mark.parametrize(("call", "error", "says"), REFUSED, ids=[call for call, _, _ in REFUSED])
def test_what_would_harm_is_refused(
    tree: DeployTree, call: str, error: type[BinderboxError], says: str
) -> None:
    with pytest.raises(error) as caught:
        eval(call, globals(), {"tree": tree})
    assert says in caught.value.message
    assert caught.value.exit_code == 2


BAD: list[tuple[str, bytes, bytes, str]] = [
    ("two primes", b"prime: false\n      url: https://bids", b"prime: true\n      url: https://bids", "2 primes: hetzner-2i2c (line 195), bids-ovh (line 207)"),
    ("no YAML", b"    bids-ovh:\n", b"    bids-ovh: [\n", "config/prod.yaml:208: not YAML"),
    ("a tab", b"    bids-ovh:\n", b"\tbids-ovh:\n", "config/prod.yaml:206: not YAML"),
    ("no UTF-8", b"    bids-ovh:\n", b"    bids-ovh: # \xff\n", "config/prod.yaml:206: not text in UTF-8"),
    ("a member twice", b"    bids-ovh:\n", b"    hetzner-gesis:\n", "config/prod.yaml:206: hetzner-gesis stands twice, first on line 200"),
    ("a weight that is text", b"weight: 50\n      health: https://bids", b"weight: lots\n      health: https://bids", "config/prod.yaml:209: federationRedirect.hosts.bids-ovh.weight: expected a number"),
    ("no section", b"federationRedirect:", b"federation:", "config/prod.yaml:1: no federationRedirect"),
    ("a mapping that is shared", b"  hosts:\n    hetzner-2i2c:", b"  <<: *userNodeSelector\n  hosts: &all\n    hetzner-2i2c:", ""),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "says"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_file_that_is_wrong_is_named_with_its_line(
    tree: DeployTree, old: bytes, new: bytes, says: str
) -> None:
    assert tree.files[CONFIG].count(old) == 1
    bad = tree.with_files({CONFIG: tree.files[CONFIG].replace(old, new)})
    if not says:  # odd, and fine
        assert len(changed_rows(bad, weight(bad, "hetzner-gesis", 1))) == 2
        return
    for edit in (lambda: weight(bad, "hetzner-gesis", 1), lambda: leave(bad, "hetzner-gesis")):
        with pytest.raises(DeployRepoError) as caught:
            edit()
        assert says in caught.value.message
        assert "nothing was written" in caught.value.message


def test_a_null_entry_is_refused_until_it_is_taken_out(tree: DeployTree) -> None:
    text = tree.files[CONFIG].replace(b"    bids-ovh:\n", b"    gone: # for now\n    bids-ovh:\n")
    broken = tree.with_files({CONFIG: text})
    with pytest.raises(RuleBroken, match="would not start") as caught:
        weight(broken, "bids-ovh", 5)
    assert "hosts.gone is null" in caught.value.cause
    assert broken.with_files(leave(broken, "gone").files).files == tree.files


def test_missing_files_are_named(tree: DeployTree) -> None:
    with pytest.raises(DeployRepoError, match=r"mybinder/values\.yaml, mybinder/Chart\.yaml are missing"):
        make_tree({CONFIG: tree.files[CONFIG]})
    assert make_tree({path: tree.files[path] for path in (CONFIG, VALUES, CHART)}).files.keys() == {
        CONFIG,
        VALUES,
        CHART,
    }


def test_what_has_no_safe_place_is_left_to_people(tree: DeployTree, member: Newcomer) -> None:
    odd = make_tree({path: content for path, content in tree.files.items() if path != DOCS}).with_files(
        {
            CONFIG: tree.files[CONFIG].replace(b"prometheus:\n", b"prometheus:\n  extraScrapeConfigs: ''\n"),
            VALUES: tree.files[VALUES].replace(b"Thanks to ", b"Thanks "),
        }
    )
    change = join(odd, member)
    assert list(change.files) == [CONFIG]
    assert [step.done for step in change.steps] == [True, False, False, False]
    assert b"thanks to" not in change.files[CONFIG]
    assert (
        odd.with_files(change.files).with_files(leave(odd.with_files(change.files), member.name).files).files
        == odd.files
    )
