"""Another prime is another reference of versions: who drops out, and who comes back."""

from __future__ import annotations

from typing import Any

from binderbox.federation.members.effect import effect
from binderbox.federation.members.observed import Observed, Reply
from binderbox.federation.redirector.config import RedirectorConfig, make_config


def config(prime: str) -> RedirectorConfig:
    def entry(name: str) -> dict[str, Any]:
        url = f"https://{name}.example"
        return {"url": url, "health": url, "versions": url, "weight": 50, "prime": name == prime}

    return make_config({"hosts": {name: entry(name) for name in "abc"}})


def seen(**versions: str) -> dict[str, Observed]:
    health = Reply("", 200, body={"ok": True, "checks": []})
    return {name: Observed(name, Reply("", 200, body={"v": v}), health) for name, v in versions.items()}


def test_who_drops_out_and_who_comes_back_is_foretold() -> None:
    found = effect(config("a"), config("b"), seen(a="new", b="old", c="old"))
    assert [(one.name, one.share_before, one.share_after) for one in found.members] == [
        ("a", 1.0, 0.0),
        ("b", 0.0, 0.5),
        ("c", 0.0, 0.5),
    ]
    assert "out of rotation until they have the new prime's versions: a" in found.notes
    assert "in rotation again, because they have the new prime's versions: b, c" in found.notes
