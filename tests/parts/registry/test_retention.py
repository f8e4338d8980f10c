"""What the registry forgets, and what a sweep deletes: whatever is needed stays, whenever it is cut off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binderbox.parts.registry.retention import (
    DAY_S,
    FULL_SHARE,
    ROOM_SHARE,
    Clock,
    Gone,
    Image,
    Rules,
    forgotten,
    swept,
)
from binderbox.parts.registry.tree import Tree
from binderbox.parts.registry.uses import asked
from tests.parts.registry.bucket import NOW, OLD, Made, digest

MONTH = Rules(30, 0)


def image(name: str, idle_days: float, *blobs: str, young: bool = False) -> Image:
    return Image(name, "t", frozenset(blobs or (name,)), idle_days * DAY_S, young)


def names(gone: list[Gone]) -> list[str]:
    return [one.image.repository for one in gone]


def test_what_was_used_yesterday_stays_and_what_was_not_for_31_days_goes() -> None:
    images = [image("yesterday", 1), image("30-days", 30), image("31-days", 31)]
    assert names(forgotten(images, {}, MONTH)) == ["31-days"]


def test_an_image_that_was_just_pushed_stays_whatever_the_clock_says() -> None:
    assert forgotten([image("pushed", 400, young=True)], {"pushed": 10**12}, Rules(1, 1)) == []


def test_above_the_ceiling_the_longest_idle_go_until_there_is_room_and_shared_layers_count_once() -> None:
    sizes = {"base": 50, "a": 20, "b": 20, "c": 5}
    images = [image("a", 3, "base", "a"), image("b", 2, "base", "b"), image("c", 1, "base", "c")]
    assert names(forgotten(images, sizes, Rules(30, 1000))) == []
    assert names(forgotten(images, sizes, Rules(30, 100))) == ["a"], "95 of 100, and 75 without a"
    assert names(forgotten(images, sizes, Rules(30, 60))) == ["a", "b", "c"], "the base goes with the last"


@given(
    st.lists(st.tuples(st.floats(0, 60), st.sets(st.sampled_from("abcdefgh"), min_size=1)), max_size=12),
    st.integers(1, 1000),
)
def test_a_full_registry_has_room_again_or_nothing_left_to_give(
    given_: list[tuple[float, set[str]]], ceiling: int
) -> None:
    sizes = {blob: 10 * at for at, blob in enumerate("abcdefgh", 1)}
    images = [image(f"i{at}", idle, *blobs) for at, (idle, blobs) in enumerate(given_)]
    gone = forgotten(images, sizes, Rules(30, ceiling))
    out = {one.image.repository for one in gone}
    left = [one for one in images if one.repository not in out]
    size = sum(sizes[blob] for blob in set().union(*(one.blobs for one in left)))
    full = sum(sizes[blob] for blob in set().union(*(one.blobs for one in images))) > FULL_SHARE * ceiling
    assert all(one.repository in out for one in images if one.idle_s > 30 * DAY_S)
    assert not full or size <= ROOM_SHARE * ceiling or not left
    if not full:
        assert all(one.idle_s <= 30 * DAY_S for one in left)
        assert out == {one.repository for one in images if one.idle_s > 30 * DAY_S}


@pytest.mark.parametrize(
    ("walls", "seen"),
    [
        ([100.0, 200.0, 300.0], 200.0),
        ([100.0, 100.0 + 40 * DAY_S], DAY_S),  # it jumped: a day at most
        ([100.0, 50.0, 60.0], 10.0),  # it went back
        ([100.0 + at * DAY_S for at in range(32)], 31 * DAY_S),
    ],
)
def test_a_clock_that_jumps_takes_no_image_along(walls: list[float], seen: float) -> None:
    clock = Clock()
    for now in walls:
        clock = clock.looked(now)
    assert clock.seen_s == pytest.approx(seen)


def everything(made: Made, *forget: tuple[str, str]) -> list[str]:
    gone = [Gone(Image(name, tag, frozenset(), 0), "") for name, tag in forget]
    return [key for step in swept(made.tree, made.reaches, gone, NOW) for key in step.keys]


def readable(made: Made, deleted: set[str]) -> None:
    """Whatever is left: no tag without its manifest, no manifest that can be asked for without what it names."""
    tree = Made()
    tree.objects = {key: one for key, one in made.objects.items() if key not in deleted}
    left: Tree = tree.tree
    for repository in left.repositories.values():
        for link in repository.tags.values():
            (manifest,) = made.reaches[link.key]
            assert manifest in repository.revisions, "a tag leads into the void"
        for manifest in repository.revisions:
            assert {manifest, *made.reaches[manifest]} <= set(left.blobs), "a manifest misses a blob"


def test_nothing_goes_while_every_image_stays() -> None:
    made = Made()
    made.push("i-a", "1", "base", "a")
    made.push("i-b", "1", "base", "b")
    assert everything(made) == []


def test_an_image_goes_with_what_it_alone_needs() -> None:
    made = Made()
    made.push("i-a", "1", "base", "a")
    made.push("i-b", "1", "base", "b")
    deleted = set(everything(made, ("i-a", "1")))
    left = {
        key.partition("blobs/sha256/")[2][3:67] for key in made.objects.keys() - deleted if "/blobs/" in key
    }
    assert left == {digest("base"), digest("b"), digest("manifest of base b")}
    assert not [key for key in made.objects.keys() - deleted if "repositories/i-a/" in key]
    readable(made, deleted)


def test_a_sweep_that_is_cut_off_after_any_object_leaves_nothing_broken_and_the_next_one_ends_it() -> None:
    made = Made()
    made.push("i-a", "1", "base", "a")
    made.push("i-a", "2", "base", "a2")
    made.push("i-b", "1", "base", "b")
    keys = everything(made, ("i-a", "1"))
    for cut in range(len(keys) + 1):
        deleted = set(keys[:cut])
        readable(made, deleted)
        again = Made()
        again.objects = {key: one for key, one in made.objects.items() if key not in deleted}
        again.reaches = made.reaches
        rest = everything(again, *(() if cut else (("i-a", "1"),)))
        if cut > 1:  # both links of the tag are gone
            assert set(keys) - deleted <= set(rest) | deleted, cut


def test_what_a_push_has_just_begun_with_stays() -> None:
    made = Made()
    made.blob("i-new", digest("uploaded"), NOW + 1, 100)  # no manifest yet
    made.push("i-old", "1", "mounted-by-a-push")
    made.put(f"repositories/i-new/_layers/sha256/{digest('mounted-by-a-push')}/link", 71, NOW + 1)
    keys = everything(made, ("i-old", "1"))
    for blob in ("uploaded", "mounted-by-a-push"):
        assert not [key for key in keys if key.endswith(f"{digest(blob)}/data")], blob


def test_what_nobody_needs_and_is_old_goes_and_what_says_nothing_here_stays() -> None:
    made = Made()
    made.blob("i-gone", digest("left-over"), OLD, 100)
    made.put("repositories/i-gone/_uploads/1234/data", 5, OLD)
    made.put("something/else", 5, OLD)
    keys = everything(made)
    assert [key for key in keys if key.endswith("/data")] == [
        f"docker/registry/v2/blobs/sha256/{digest('left-over')[:2]}/{digest('left-over')}/data"
    ]
    assert not [key for key in keys if "_uploads" in key or "something" in key]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('"GET /v2/i-git-3a/manifests/abc HTTP/1.1" 200 525 "" "Python"', ("i-git-3a", "abc")),
        ('2026-11-29T21:00:00Z stdout F 10.42.0.7 - binderbox [29/Nov/2026:21:00:00 +0000] "HEAD /v2/i-x/manifests/1 HTTP/1.1" 200 5 "" ""', ("i-x", "1")),
        ('"PUT /v2/i-x/manifests/1 HTTP/1.1" 201 0 "" "containerd"', ("i-x", "1")),
        ('"GET /v2/i-x/manifests/1 HTTP/1.1" 404 90 "" ""', None),
        ('"GET /v2/i-x/manifests/sha256:aa HTTP/1.1" 200 90 "" ""', None),
        ('"DELETE /v2/i-x/manifests/1 HTTP/1.1" 202 0 "" ""', None),
        ('"GET / HTTP/1.1" 200 0 "" "/v2/i-x/manifests/1"', None),
    ],
)  # fmt: skip
def test_who_asks_for_a_manifest_that_is_there_uses_its_image(
    line: str, name: tuple[str, str] | None
) -> None:
    assert asked([line]).used == ({name} if name else set())


@pytest.mark.parametrize(
    ("status", "agent", "counts"),
    [("200 5", "", (1, 0)), ("404 5", "Tornado/6.5", (0, 1)), ("404 5", "containerd/2.2.1", (0, 0)), ("401 5", "", (0, 0))],
)  # fmt: skip
def test_a_launch_finds_its_image_or_does_not_and_what_containerd_asks_is_none(
    status: str, agent: str, counts: tuple[int, int]
) -> None:
    found = asked([f'"HEAD /v2/i-x/manifests/1 HTTP/1.1" {status} "" "{agent}"'])
    assert (found.hits, found.misses) == counts
