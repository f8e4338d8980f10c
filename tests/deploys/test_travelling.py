"""What travels to a node runs with the oldest Python that a supported one has, and is what it was when this release was made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest
import vermin

from binderbox.commands.install import install
from binderbox.deploys import travelling
from binderbox.deploys.agent import agent_tree
from binderbox.deploys.builder import door_tree
from binderbox.deploys.host import backstop_tree, fetch_tree, loader_tree
from binderbox.deploys.k3s import keeper_tree
from binderbox.deploys.travelling import LIBRARIES, Library, libraries
from binderbox.errors import BundleError
from binderbox.output.progress import Progress
from binderbox.output.requests import InstallRequest

OLDEST = (3, 10)  # of Ubuntu 22.04


def too_new(text: str) -> bool:
    return vermin.detect(text)[1] > OLDEST


def test_a_name_that_python_310_lacks_is_seen() -> None:
    assert too_new("from datetime import UTC")
    assert too_new("import tomllib")
    assert not too_new("match 1:\n    case _: pass")


@pytest.mark.parametrize("tree", [agent_tree, backstop_tree, door_tree, fetch_tree, keeper_tree, loader_tree])
def test_every_module_on_a_node_runs_with_the_oldest_python(tree: Callable[[], dict[str, str]]) -> None:
    modules = {path: text for path, text in tree().items() if path.endswith(".py")}
    assert [path for path, text in modules.items() if too_new(text)] == []


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_travels_with_its_licence_and_only_as_it_was_published(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Permission is hereby granted" in libraries()[f"{name}/LICENSE"]
    for other in (replace(LIBRARIES[name], version="9.9"), replace(LIBRARIES[name], sha256="0" * 64)):
        monkeypatch.setitem(travelling.LIBRARIES, name, other)
        with pytest.raises(BundleError, match=f"nodes get {name} {other.version} with the sum") as refused:
            libraries()
        assert refused.value.remedy.endswith(
            f"pip install --force-reinstall --no-deps {name}=={other.version}"
        )


def test_one_that_is_not_installed_is_told_before_anything_is_touched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(travelling.LIBRARIES, "no-such", Library("1", "0" * 64))
    with pytest.raises(BundleError, match="this Python has none"):
        install(cast(InstallRequest, None), cast(Progress, None), lambda question: False)
