"""The audit log is bound: what was written before goes aside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from binderbox.parts import audit


def test_a_long_one_goes_aside_and_so_much_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST_BYTES", 2000)
    log, aside = tmp_path / "audit.log", tmp_path / "audit.log.1"
    for number in range(100):
        audit.append(log, "the disk's job", "made-room", "disk", what=f"{number}")
    lines = [json.loads(line)["what"] for file in (aside, log) for line in file.read_text().splitlines()]
    assert lines == [str(number) for number in range(int(lines[0]), 100)], "none is lost at the turn"
    assert log.stat().st_size + aside.stat().st_size < 5000
    assert {file.stat().st_mode & 0o777 for file in (log, aside)} == {0o600}
