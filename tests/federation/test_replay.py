"""History written anew: on a small one made here, and on the real one where a checkout of it is given."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.federation.checkouts import git, make_checkout
from tests.federation.replay import SINCE, replay


def commit(path: Path, old: str, new: str) -> None:
    config = path / "config/prod.yaml"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new, 1))
    git(path, "commit", "-qam", "changed")


def test_a_small_history_comes_out_equal_and_a_harmful_change_refused(tmp_path: Path) -> None:
    path = make_checkout(tmp_path / "deploy")
    commit(path, "weight: 30 ", "weight: 10 ")
    commit(path, "prime: true", "prime: false")  # no prime: theirs is a fault
    commit(path, "prime: false\n      url: https://second", "prime: true\n      url: https://second")
    commit(path, "weight: 10 ", "weight: 0 ")
    commit(path, "retention: 90d", "retention: 30d")
    found = [(one.kind, one.result) for one in replay(path, SINCE)]
    assert found == [
        ("weight", "equal"),
        ("prime", "not played"),
        ("prime", "equal"),
        ("weight", "refused"),
    ]


def test_a_prime_without_the_key_and_two_primes_are_mended(tmp_path: Path) -> None:
    path = make_checkout(tmp_path / "deploy")
    commit(path, "      prime: false\n      url: https://second", "      url: https://second")
    commit(path, "      prime: true\n", "      prime: false\n")
    commit(path, "    second:\n", "    second:\n      prime: true\n")
    commit(path, "prime: false", "prime: true")
    commit(path, "prime: true", "prime: false")
    results = [(one.kind, one.result) for one in replay(path, SINCE)]
    assert results[-1] == ("prime", "equal")


def test_the_real_history() -> None:
    given = os.environ.get("BINDERBOX_UPSTREAM_DEPLOY")
    if not given or not Path(given, ".git").exists():
        pytest.skip("BINDERBOX_UPSTREAM_DEPLOY names no checkout of mybinder.org-deploy")
    found = Counter((one.kind, one.result) for one in replay(Path(given), SINCE))
    assert found["weight", "equal"] >= 41
    assert found["leave", "equal"] >= 3
    assert found["prime", "equal"] >= 17
    assert not [key for key in found if key[1] in ("DIFFERENT", "same members")]
