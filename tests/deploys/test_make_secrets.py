"""The script that makes the node's secrets, run for real in a folder of the test's own."""

import stat
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from binderbox.parts.secrets.kinds import MADE

SCRIPT = (files("binderbox.deploys.files") / "make-secrets.sh").read_text()


def make(store: Path, *pairs: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", SCRIPT, "sh", str(store), *pairs], capture_output=True, text=True, check=False
    )


def test_all_secrets_are_made_for_root_alone_and_never_again(tmp_path: Path) -> None:
    store = tmp_path / "secrets"
    pairs = [f"{name}={kind}" for name, kind in MADE.items()]
    assert make(store, *pairs).returncode == 0
    first = {path.name: path.read_text() for path in store.iterdir()}
    assert set(first) == set(MADE)
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.iterdir()} == {0o600}
    assert len(set(first.values())) == len(first), "two secrets are the same"
    assert make(store, *pairs).returncode == 0
    assert {path.name: path.read_text() for path in store.iterdir()} == first


def test_lengths_are_those_asked_for(tmp_path: Path) -> None:
    make(tmp_path, "a=hex32", "b=hex10", "c=text:binderbox")
    assert [len((tmp_path / name).read_text()) for name in "abc"] == [64, 20, 9]


def test_the_registry_can_check_the_password(tmp_path: Path) -> None:
    bcrypt = pytest.importorskip("bcrypt")  # comes with pyinfra's own ssh connector
    make(tmp_path, "password=hex24", "line=bcrypt:binderbox:password")
    user, _, hashed = (tmp_path / "line").read_text().strip().partition(":")
    assert user == "binderbox"
    assert bcrypt.checkpw((tmp_path / "password").read_bytes(), hashed.encode())


def test_an_unknown_kind_leaves_nothing(tmp_path: Path) -> None:
    finished = make(tmp_path / "store", "a=rot13")
    assert finished.returncode != 0
    assert "rot13" in finished.stderr
    assert not (tmp_path / "store" / "a").exists()
