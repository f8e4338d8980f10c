"""Who a repository is, and whose."""

from __future__ import annotations

import pytest

from binderbox.parts.repositories import owner_of, same


@pytest.mark.parametrize(
    ("repository", "owner"),
    [
        ("https://github.com/Jupyter/demo", "github.com/jupyter"),
        ("https://gitlab.com/group/sub/demo.git", "gitlab.com/group"),
        ("https://gist.github.com/somebody/0a1b2c", "gist.github.com/somebody"),
        ("https://doi.org/10.5281/zenodo.3242074", "doi.org/10.5281/zenodo.3242074"),
        ("10.5281/zenodo.3242074", "10.5281/zenodo.3242074"),
        ("https://git.example.edu/demo.git", "git.example.edu/demo"),
        ("", ""),
    ],
)
def test_who_a_repositorys_owner_is(repository: str, owner: str) -> None:
    assert owner_of(repository) == owner


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/o/r",
        "https://github.com/o/r/",
        "https://github.com/O/R.git",
        "https://x1@github.com/o/r",
        "https://x:y@github.com:443/o/r",
        "http://www.github.com/o/r",
        "git://github.com//o///r.git/",
        "ssh://git@github.com:22/o/r.git",
        "git@github.com:o/r.git",
        "https://github.com./o/r?x=1#y",
        "//github.com/o/r",
        "  https://github.com/o/r ",
    ],
)
def test_however_it_is_written_it_is_one(address: str) -> None:
    assert same(address) == "github.com/o/r"
    assert owner_of(address) == "github.com/o"


def test_another_is_another() -> None:
    names = (
        "https://github.com/o/r",
        "https://github.com/o/r2",
        "https://gitlab.com/o/r",
        "https://gist.github.com/o/r",
    )
    assert len({same(one) for one in names}) == len(names)
