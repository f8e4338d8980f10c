"""`init`: flags to a short config that can be used as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from binderbox.cli.target import config_file
from binderbox.member import model as member
from tests.cli.run import binderbox
from tests.output.schemas import validate_output


def test_the_file_is_a_config_that_parses_to_the_flags(tmp_path: Path) -> None:
    done = binderbox(
        tmp_path,
        "init",
        "root@host.example",
        "--domain",
        "b.example.org",
        "--tls",
        "own-ca",
        "--quota",
        "40",
        "--offline",
    )
    assert (done.returncode, done.stdout) == (
        0,
        "wrote host.example.yaml; next: binderbox check root@host.example\n",
    )
    text = (tmp_path / "host.example.yaml").read_text()
    written = member.parse(text, "host.example.yaml")
    assert (written.domain, written.tls, written.quota, written.offline) == (
        "b.example.org",
        "own-ca",
        40,
        True,
    )
    assert len(text.splitlines()) < 15
    assert "email" not in text


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "h.example.yaml").write_text("domain: mine.example.org\n")
    done = binderbox(tmp_path, "init", "h.example", "--domain", "b.example.org")
    assert done.returncode == 2
    assert "h.example.yaml is there already" in done.stderr
    assert (tmp_path / "h.example.yaml").read_text() == "domain: mine.example.org\n"
    assert binderbox(tmp_path, "init", "h.example", "--domain", "b.example.org", "--force").returncode == 0
    assert "b.example.org" in (tmp_path / "h.example.yaml").read_text()


def test_every_wrong_flag_is_told_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    done = binderbox(
        tmp_path, "init", "h.example", "--domain", "b_x.org", "--quota", "-4", "--email", "nobody", "--json"
    )
    result = validate_output(done.stdout, "init")
    assert result["exit"] == done.returncode == 2
    for key in ("domain", "quota", "email"):
        assert f"{key}: expected" in result["error"]["message"]
    assert list(tmp_path.glob("*.yaml")) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    done = binderbox(tmp_path, "init", "h.example", "--domain", "b.example.org", "-o", "no/such/dir.yaml")
    assert done.returncode == 2
    assert "no/such/dir.yaml cannot be written: No such file or directory" in done.stderr


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("host.example", "host.example.yaml"),
        ("root@host.example", "host.example.yaml"),
        ("ssh://root@host.example:2222", "host.example.yaml"),
        ("../evil", "..-evil.yaml"),
        ("demo", "demo.yaml"),
    ],
)
def test_the_config_is_named_after_the_host(host: str, name: str) -> None:
    assert str(config_file(host)) == name
