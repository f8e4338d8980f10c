"""What the rig built is kept while somebody asks for it, and no longer."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.rig.cache import KEPT_UNUSED_S, cached


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "binderbox-rig"


def part(name: str, recipe: str) -> Path:
    return cached(name, recipe, lambda into: (into / "built").write_text(recipe) and None, 1)


def age(entry: Path) -> None:
    long_ago = time.time() - KEPT_UNUSED_S - 60
    os.utime(entry, (long_ago, long_ago))


def test_a_part_that_no_run_asks_for_goes_when_its_next_recipe_is_built() -> None:
    old, asked_for, other = part("bundle", "1"), part("bundle", "2"), part("bundle-list", "1")
    for entry in (old, asked_for, other):
        age(entry)
    assert part("bundle", "2") == asked_for, "asking for it keeps it"
    new = part("bundle", "3")
    assert not old.exists()
    assert asked_for.exists()
    assert other.exists(), "a name that begins alike is another part"
    assert (new / "built").read_text() == "3"
