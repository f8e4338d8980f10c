"""Where contexts are unpacked: a directory for each build, and none that is nobody's."""

from __future__ import annotations

from pathlib import Path

import pytest

from binderbox.parts.builder.door import workplace
from binderbox.parts.builder.door.workplace import Workplaces

from .conftest import make_config


def test_what_could_not_be_removed_is_swept_and_a_builds_own_is_not(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(state)
    places = Workplaces(config)
    places.clear()
    with monkeypatch.context() as broken, places.one() as left:
        broken.setattr(
            workplace.shutil, "rmtree", lambda path, **options: None
        )  # as a disk that fails for a moment
        (left.context / "file").write_text("much")
    assert left.context.exists()
    with places.one() as taken:
        places.sweep()
        assert taken.context.exists()
        assert not left.context.parent.exists()
    assert not taken.context.parent.exists()


def test_before_there_is_any_place_nothing_is_swept(state: Path) -> None:
    Workplaces(make_config(state)).sweep()


def test_a_door_that_was_killed_leaves_none(state: Path) -> None:
    places = Workplaces(make_config(state))
    places.clear()
    with places.one() as left:
        Workplaces(make_config(state)).clear()
        assert not left.context.exists()
