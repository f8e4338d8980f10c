"""Every edit on 2,000 generated deployment trees: all the rest stays byte for byte, twice is once, the rules hold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from binderbox.federation.deployrepo.edits import join, leave, make_newcomer, weight
from binderbox.federation.deployrepo.tree import CONFIG, DeployTree, redirector_config
from binderbox.federation.redirector.rules import start_faults
from tests.federation.trees import Drawn, trees

FAST, ALL, SHARDS = 48, 2000, 4
SPONSOR = "https://d.example.org"
NEW = make_newcomer(
    "newcomer",
    "https://binder.new.example.org",
    run_by="A & B",
    where="C",
    contact="https://new.example.org/contact",
    sponsor="The D",
    sponsor_url=SPONSOR,
)


def rows(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


def subsequence(short: list[bytes], long: list[bytes]) -> bool:
    """Whether the lines of `short` are in `long` in this order; a last line may have got or lost its line end."""
    rest: Iterator[bytes] = (row.rstrip(b"\r\n") for row in long)
    return all(row.rstrip(b"\r\n") in rest for row in short)


def kept(before: DeployTree, after: DeployTree, *, one_line_changed: bool = False) -> None:
    """Line ends, byte order mark and last newline of each file are as they were, and its old lines are there."""
    for path, content in before.files.items():
        now = after.files[path]
        assert (b"\r\n" in now) == (b"\r\n" in content) or now.count(b"\n") * content.count(b"\n") == 0
        assert now.count(b"\r") in (0, now.count(b"\n"))
        short, long = sorted((now, content), key=len)
        assert now.endswith(b"\n") == content.endswith(b"\n") or long.startswith(short)
        assert now.startswith(b"\xef\xbb\xbf") == content.startswith(b"\xef\xbb\xbf")
        if not one_line_changed:
            changed = [row for row in rows(content) if b"Thanks to" not in row and b"hosts: {" not in row]
            assert subsequence(changed if b"hosts: {" not in content else [], rows(now))


def hold(shard: int, count: int) -> None:
    """Hold the edits to their promises on as many trees; each shard draws other ones, the same in every run."""

    @seed(shard)
    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(trees(), st.data())
    def promises(drawn: Drawn, data: st.DataObject) -> None:
        every_edit_keeps_all_the_rest(drawn, data)

    promises()


@pytest.mark.parametrize("shard", range(2))
def test_every_edit_keeps_all_the_rest(shard: int) -> None:
    hold(shard + SHARDS, FAST // 2)


@pytest.mark.long
@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_edit_keeps_all_the_rest_of_2000_trees(shard: int) -> None:
    hold(shard, ALL // SHARDS)


def every_edit_keeps_all_the_rest(drawn: Drawn, data: st.DataObject) -> None:
    tree, names = drawn.tree, drawn.names
    assert start_faults(redirector_config(tree)) == ()

    # weight: one line
    name = data.draw(st.sampled_from(names))
    wanted = data.draw(st.integers(1 if name == names[0] else 0, 100))
    had = redirector_config(tree).host(name)
    assert had is not None
    change = weight(tree, name, wanted)
    after = tree.with_files(change.files)
    was, now = rows(tree.files[CONFIG]), rows(after.files[CONFIG])
    assert set(change.files) <= {CONFIG}
    if len(was) == len(now):
        differ = [i for i, (old, new) in enumerate(zip(was, now, strict=True)) if old != new]
        assert len(differ) == (had.weight != wanted)
    else:  # it had none
        assert len(now) == len(was) + 1
        assert subsequence(was, now)
    kept(tree, after, one_line_changed=True)
    found = redirector_config(after)
    assert found.host(name).weight == wanted  # type: ignore[union-attr]
    assert start_faults(found) == ()
    assert not weight(after, name, wanted).files

    # join, and back
    after = tree.with_files(join(tree, NEW).files)
    kept(tree, after)
    found = redirector_config(after)
    assert found.host(NEW.name) == NEW.entry
    assert found.hosts[:-1] == redirector_config(tree).hosts
    assert start_faults(found) == ()
    assert not join(after, NEW).files
    # in braces there is no room for the comment that remembers who is thanked for it
    braces = "" if b"# registered member" in after.files[CONFIG] else SPONSOR
    back = after.with_files(leave(after, NEW.name, braces).files)
    assert back.files == tree.files

    # leave of a member that somebody else wrote
    if len(names) > 1:
        gone = data.draw(st.sampled_from(names[1:]))
        after = tree.with_files(leave(tree, gone).files)
        kept(after, tree)
        found = redirector_config(after)
        assert found.hosts == tuple(host for host in redirector_config(tree).hosts if host.name != gone)
        assert start_faults(found) == ()
