"""Who is thanked in the banner: compared as people mean it, and never passed over in silence."""

from __future__ import annotations

import pytest

from binderbox.errors import UsageError
from binderbox.federation.deployrepo.change import Change, Step
from binderbox.federation.deployrepo.edits import join, leave, make_newcomer
from binderbox.federation.deployrepo.tree import VALUES, DeployTree, make_tree
from tests.federation.checkouts import FILES

LIST = (
    'Thanks to <a href="https://one.example.org">One</a>, <a href="https://www.cloud.example/">Cloud</a>'
    ' and <a href="https://u.example.edu/lab/">The Lab</a> for supporting us!'
)


@pytest.fixture
def tree() -> DeployTree:
    words = {"first": "https://first.example.org", "second": "https://second.example.org"}
    files = {path: text.format(**words) for path, text in FILES.items()}
    start = files[VALUES].index("Thanks to")
    end = files[VALUES].index("\n", start)
    files[VALUES] = files[VALUES][:start] + LIST + files[VALUES][end:]
    return make_tree({path: text.encode() for path, text in files.items()})


def thanks(change: Change) -> Step:
    return next(step for step in change.steps if step.what.startswith("thanks in the banner"))


@pytest.mark.parametrize(
    "url", ["https://www.cloud.example/", "https://cloud.example", "http://cloud.example/", "https://WWW.Cloud.example"]
)  # fmt: skip
def test_nobody_is_thanked_twice(tree: DeployTree, url: str) -> None:
    if url.startswith("https"):
        member = make_newcomer("new", "https://new.example.org", sponsor="Cloud Inc", sponsor_url=url)
        change = join(tree, member)
        assert VALUES not in change.files
        assert thanks(change).done
    gone = leave(tree, "second", url)
    assert "cloud.example" not in gone.files[VALUES].decode()
    assert thanks(gone).done


def test_the_same_name_at_another_address_is_left_to_people(tree: DeployTree) -> None:
    member = make_newcomer("new", "https://new.example.org", sponsor="cloud", sponsor_url="https://c.example")
    change = join(tree, member)
    assert VALUES not in change.files
    assert (thanks(change).done, "https://www.cloud.example/" in thanks(change).note) == (False, True)


@pytest.mark.parametrize("url", ["", "foo", "https://cloud.example/other"])
def test_what_matches_nobody_is_an_open_step_that_lists_who_is_thanked(tree: DeployTree, url: str) -> None:
    change = leave(tree, "second", url)
    assert VALUES not in change.files
    assert not thanks(change).done
    for name in ("One (https://one.example.org)", "Cloud (https://www.cloud.example/)", "The Lab ("):
        assert name in thanks(change).note


def test_one_half_of_a_sponsor_is_refused_with_words_about_it() -> None:
    for half in ({"sponsor": "X"}, {"sponsor_url": "https://x.example"}):
        with pytest.raises(UsageError, match="--sponsor and --sponsor-url belong together"):
            make_newcomer("new", "https://new.example.org", **half)
