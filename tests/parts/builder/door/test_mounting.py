"""A push mounts what the registry has: which layers have a source, and what becomes of one that has gone."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from binderbox.parts.builder.door import mounting
from binderbox.parts.builder.door.mounting import Sent, Sources
from binderbox.parts.builder.door.pusher import repository_in

BASE = {"sha256:base": 100, "sha256:apt": 50}


@dataclass
class Registry:
    """Repositories with their blobs, and the labels that containerd has."""

    blobs: set[tuple[str, str]] = field(default_factory=set)
    labels: list[tuple[str, str]] = field(default_factory=list)
    down: bool = False

    def has(self, repository: str, digest: str) -> bool:
        if self.down:
            raise ConnectionRefusedError
        return (repository, digest) in self.blobs

    def push(self, sources: Sources, repository: str, layers: dict[str, int]) -> Sent:
        sent = sources.before(layers)
        self.blobs |= {(repository, digest) for digest in layers}
        sources.after(repository, layers)
        return sent


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def sources(registry: Registry) -> Sources:
    return Sources(registry.has, lambda digest, repository: registry.labels.append((digest, repository)))


def test_the_second_repository_on_a_base_sends_its_own_layers_alone(
    registry: Registry, sources: Sources
) -> None:
    assert registry.push(sources, "i-a", {**BASE, "sha256:a": 7}) == Sent(157, 0)
    assert registry.push(sources, "i-b", {**BASE, "sha256:b": 8}) == Sent(8, 150)
    assert registry.labels.count(("sha256:base", "i-a")) == 1
    assert ("sha256:b", "i-b") in registry.labels
    assert len(registry.labels) == 4, "one label a layer: appending to one ends at 4096 bytes"


def test_a_source_that_the_registry_has_forgotten_is_replaced_by_who_sent_it_again(
    registry: Registry, sources: Sources
) -> None:
    registry.push(sources, "i-a", dict(BASE))
    registry.blobs.clear()
    assert registry.push(sources, "i-b", dict(BASE)) == Sent(150, 0)
    assert registry.labels[-2:] == [("sha256:base", "i-b"), ("sha256:apt", "i-b")]
    assert registry.push(sources, "i-c", dict(BASE)) == Sent(0, 150)


def test_a_registry_that_does_not_answer_is_none_that_has_it(registry: Registry, sources: Sources) -> None:
    registry.push(sources, "i-a", dict(BASE))
    registry.down = True
    assert sources.before(dict(BASE)) == Sent(150, 0)


def test_what_is_remembered_is_bounded(
    registry: Registry, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounting, "MOST_REMEMBERED", 3)
    for number in range(9):
        registry.push(sources, "i-a", {f"sha256:{number}": 1})
    assert sources.before({"sha256:8": 1, "sha256:0": 1}) == Sent(1, 1)


def test_the_repository_of_an_image_has_neither_host_nor_tag() -> None:
    assert repository_in("registry.binderbox.svc:5000/i-git-2dx:abc") == "i-git-2dx"
