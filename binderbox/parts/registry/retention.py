"""Which images the registry forgets, and what of its bucket nobody needs then. Pure, standard library only: it travels to the node.

Times of use are in *seen* seconds (`Clock`), which a clock that jumps moves by a day at most. Objects' own times are the
store's. An image that goes costs one more build.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from binderbox.parts.registry.tree import Tree, reached

DAY_S = 86_400
MOST_STEP_S = DAY_S
# Longer than the longest build, an hour, so that nothing is taken from under one: mybinder.org-deploy 16818242. Its push waits
# for a sweep anyway.
YOUNG_S = 5400
FULL_SHARE, ROOM_SHARE = 0.9, 0.8  # of the ceiling: from the one on, images go until the other holds


@dataclass(frozen=True)
class Clock:
    """Seconds during which somebody looked; `at` is the wall's time of the last look."""

    seen_s: float = 0.0
    at: float = 0.0

    def looked(self, now: float) -> Clock:
        """Go on: by what has passed, by nothing when the clock went back, and by a day at most."""
        step = min(max(0.0, now - self.at), MOST_STEP_S) if self.at else 0.0
        return Clock(self.seen_s + step, now)


@dataclass(frozen=True)
class Rules:
    """+ keep_days: how long an image stays that nobody launches; max_bytes: of all blobs together, 0 for no ceiling
    + free_bytes: what is to go besides, because the disk is short
    """

    keep_days: float
    max_bytes: int
    free_bytes: int = 0

    def full(self, size_bytes: int) -> bool:
        return bool(self.max_bytes) and size_bytes > FULL_SHARE * self.max_bytes

    def room(self, size_bytes: int) -> float:
        """What may stay of so much."""
        full = ROOM_SHARE * self.max_bytes if self.full(size_bytes) else float("inf")
        return min(full, size_bytes - self.free_bytes if self.free_bytes else float("inf"))


@dataclass(frozen=True)
class Image:
    """One tag: every blob that it needs, its manifest among them, and since when it is not used."""

    repository: str
    tag: str
    blobs: frozenset[str]
    idle_s: float
    young: bool = False  # pushed so lately that a launch of it may be under way

    @property
    def name(self) -> str:
        return f"{self.repository}:{self.tag}"


@dataclass(frozen=True)
class Gone:
    image: Image
    why: str


def forgotten(images: Iterable[Image], sizes: Mapping[str, int], rules: Rules) -> list[Gone]:
    """Which images go: those that nobody used for long, and above the ceiling the longest idle of the others.

    + sizes: digest to bytes of every blob in the bucket, those that no image needs too
    """
    longest_idle = sorted((one for one in images if not one.young), key=lambda one: (-one.idle_s, one.name))
    needed = Counter(blob for one in images for blob in one.blobs)
    left = sum(sizes.get(blob, 0) for blob in needed)
    room, gone = rules.room(left), list[Gone]()
    what = "the disk is short" if rules.free_bytes else "the registry is full"
    for one in longest_idle:
        if one.idle_s > rules.keep_days * DAY_S:
            why = f"not launched for {one.idle_s / DAY_S:.0f} days"
        elif left > room:
            why = f"{what}, and it was not launched for {one.idle_s / DAY_S:.1f} days"
        else:
            continue
        gone.append(Gone(one, why))
        for blob in one.blobs:
            needed[blob] -= 1
            left -= 0 if needed[blob] else sizes.get(blob, 0)
    return gone


@dataclass(frozen=True)
class Step:
    """Objects to delete together, in the order of the steps: a link goes before what it leads to."""

    what: str
    keys: tuple[str, ...]
    size_bytes: int = 0


def swept(
    tree: Tree, reaches: Mapping[str, tuple[str, ...]], gone: Iterable[Gone], before_s: float
) -> Iterator[Step]:
    """What to delete: the tags that go, then what no manifest that stays can reach, if it is older than `before_s`.

    Whoever is cut off in between leaves nothing that leads into the void, and the next run finds the rest.

    + reaches: manifest to what it names, for every manifest of the tree
    """
    out: dict[str, set[str]] = {}
    for one in gone:
        out.setdefault(one.image.repository, set()).add(one.image.tag)
    tags, revisions, layers, live = [], [], [], set[str]()
    for name, repository in tree.repositories.items():
        # what a cut left of a tag that leads nowhere any more goes too; nobody pushes meanwhile
        left = out.get(name, set()) | (repository.tag_keys.keys() - repository.tags.keys())
        tags += [key for tag in left for key in repository.tag_keys.get(tag, ())]
        # A tag's link says which manifest; `reaches` has it under the link's key.
        heads = [
            digest
            for tag, link in repository.tags.items()
            if tag not in left
            for digest in reaches.get(link.key, ())
        ]
        heads += [digest for digest, link in repository.revisions.items() if link.changed_s >= before_s]
        kept = reached(heads, reaches)
        revisions += [
            link.key
            for digest, link in repository.revisions.items()
            if digest not in kept and link.changed_s < before_s
        ]
        layers += [
            link.key
            for digest, link in repository.layers.items()
            if digest not in kept and link.changed_s < before_s
        ]
        live |= kept
        live |= {digest for digest, link in repository.layers.items() if link.changed_s >= before_s}
    blobs = [one for digest, one in tree.blobs.items() if digest not in live and one.changed_s < before_s]
    yield Step("tags", tuple(tags))
    yield Step("manifests", tuple(revisions))
    yield Step("layers", tuple(layers))
    yield Step("blobs", tuple(one.key for one in blobs), sum(one.size_bytes for one in blobs))
