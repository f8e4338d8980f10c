"""What of a host is ours: also where the config keeps the data in a directory that somebody else uses as well."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from binderbox import layout
from binderbox.world.host.leftovers import SCRIPT

NAMES = (*layout.OWN_KEPT, *layout.OWN_GOES)


def look(root: Path, mode: str) -> set[str]:
    """Paths below `root` that the script names, with every path of the product moved there."""
    settings = [
        setting.replace("=/", f"={root}/").replace(" /", f" {root}/") for setting in layout.SCRIPT_SETTINGS
    ]
    words = ["sh", "-c", SCRIPT.read_text(), "sh", mode, *settings]
    found = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    rows = (line.split("\t") for line in found.splitlines())
    return {
        name.removeprefix(str(root)) for kind, name in rows if kind == "file" and name.startswith(str(root))
    }


def installed(root: Path, own: Path, config: str) -> None:
    for name in NAMES:
        (own / name / "inside").mkdir(parents=True)
    etc = root / layout.ETC.removeprefix("/")
    etc.mkdir(parents=True)
    (etc / "member.yaml").write_text(config)


@pytest.mark.parametrize(
    "written", ["{}", '"{}"', "'{}'", "{}  # the second disk", "{}  ", "{}\r", '"{}" # it']
)
def test_a_purge_takes_our_part_of_a_data_directory_and_nothing_of_others(
    tmp_path: Path, written: str
) -> None:
    own = tmp_path / "srv/data"
    installed(tmp_path, own, f"domain: b.example.org\ndata_dir: {written.format(own)}\n")
    assert look(tmp_path, "purge") >= {"/srv/data", *(f"/srv/data/{name}" for name in NAMES), layout.ETC}
    (own / "thesis.tex").write_text("somebody's")
    found = look(tmp_path, "purge")
    assert {f"/srv/data/{name}" for name in NAMES} <= found
    assert not {"/srv/data", "/srv/data/thesis.tex"} & found


def test_without_purge_the_data_stays_and_is_said_to(tmp_path: Path) -> None:
    own = tmp_path / "srv/data"
    installed(tmp_path, own, f"data_dir: {own}\n")
    found = look(tmp_path, "keep")
    assert {f"/srv/data/{name}" for name in layout.OWN_GOES} <= found
    assert not {"/srv/data", *(f"/srv/data/{name}" for name in layout.OWN_KEPT)} & found
    assert look(tmp_path, "kept") == {layout.ETC, *(f"/srv/data/{name}" for name in layout.OWN_KEPT)}


def test_a_power_cut_before_the_config_goes_finds_the_rest_the_next_time(tmp_path: Path) -> None:
    """The config says where the data is, so it goes after it."""
    own = tmp_path / "srv/data"
    installed(tmp_path, own, f"data_dir: {own}\n")
    settings = [
        one.replace("=/", f"={tmp_path}/").replace(" /", f" {tmp_path}/") for one in layout.SCRIPT_SETTINGS
    ]
    said = subprocess.run(
        ["sh", "-c", SCRIPT.read_text(), "sh", "purge", *settings], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert said.index(f"file\t{own}") < said.index(f"file\t{tmp_path}{layout.ETC}")


@pytest.mark.parametrize("path", ["/", "relative", "/srv/../etc", "/srv/$(reboot)", "/srv/a b"])
def test_a_data_directory_that_is_no_plain_path_is_not_looked_into(tmp_path: Path, path: str) -> None:
    installed(tmp_path, tmp_path / "srv", f"data_dir: {path}\n")
    assert not {one for one in look(tmp_path, "purge") if one.startswith("/srv")}
