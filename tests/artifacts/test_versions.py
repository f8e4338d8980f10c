"""versions.toml holds every pin, no invented checksum, and is edited one line at a time."""

from __future__ import annotations

import re
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binderbox.artifacts.versions import load, parse, with_checksum
from binderbox.errors import BundleError

TEXT = resources.files("binderbox.artifacts").joinpath("versions.toml").read_text()
SOME = "a" * 64
GOOD = f"""\
schema = 1
[k3s]
kind = "file"
version = "v1"
source = "https://example.org/k3s"
sha256 = "{SOME}"
"""


def test_every_artifact_that_an_install_needs_is_pinned() -> None:
    kinds = {pin.name: pin.kind for pin in load().values()}
    assert kinds == {
        "k3s": "file",
        "k3s-images": "tar",
        "buildkit": "tar",
        "helm": "tar",
        "objectstore": "image",
        "registry": "image",
        "traefik": "image",
        "repo2docker": "image",
        "build-base": "image",
        "sample-base": "image",
        "binderhub-chart": "chart",
        "binderhub-images": "image",
        "cryptnono-chart": "chart",
        "cryptnono-images": "image",
    }


def test_a_version_stands_in_its_source_so_that_a_bump_cannot_be_half() -> None:
    for pin in load().values():
        if not pin.images_of:
            assert pin.version.replace("+", "%2B") in pin.source, pin.name
            assert pin.version.replace("+", "%2B") in str(pin.checksum_url) or pin.kind == "chart", pin.name


def test_nothing_is_pinned_to_a_moving_name() -> None:
    assert not [pin.name for pin in load().values() if re.search(r"latest|stable|main$", pin.source)]


def test_k3s_and_its_images_are_of_one_version() -> None:
    pins = load()
    assert pins["k3s"].version == pins["k3s-images"].version


def test_the_build_image_keeps_the_name_that_the_redirector_compares() -> None:
    assert load()["repo2docker"].by_tag
    assert "@" not in load()["repo2docker"].source


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("schema = 1", "schema = 2", "schema: expected 1"),
        ('kind = "file"', 'kind = "zip"', "k3s.kind: expected one of file, tar, image, chart, found 'zip'"),
        ('version = "v1"', "", "k3s.version: is missing"),
        ('version = "v1"', "version = 1", "k3s.version: expected text, found 1"),
        (SOME, "abc", "k3s.sha256: expected 64 small hex digits"),
        (SOME, "A" * 64, "k3s.sha256: expected 64 small hex digits"),
        (f'sha256 = "{SOME}"', "", "k3s: neither a sha256 nor the checksum_url of its publisher"),
        ("https://", "http://", "k3s.source: expected https://"),
        ("[k3s]", "[K3s_]", "K3s_: a name has small letters"),
        ('kind = "file"', 'kind = "file"\nsha265 = "x"', "k3s.sha265: unknown key"),
        ('kind = "file"', 'kind = "file"\nby_tag = 1', "k3s.by_tag: expected true or false"),
        ("[k3s]", "[k3s", "versions.toml is broken"),
        ("[k3s]", "x = 1\n[k3s]", "x: expected a table"),
    ],
)
def test_a_broken_file_names_its_fault(old: str, new: str, fault: str) -> None:
    assert old in GOOD
    with pytest.raises(BundleError, match=re.escape(fault)):
        parse(GOOD.replace(old, new))


def test_all_faults_at_once() -> None:
    with pytest.raises(BundleError) as caught:
        parse(GOOD.replace('"file"', '"zip"').replace(SOME, "abc"))
    assert len(caught.value.message.splitlines()) == 3


@given(st.text(max_size=80))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        parse(text)
    except BundleError as error:
        assert error.exit_code == 4  # noqa: PT017


@pytest.mark.parametrize("name", [pin.name for pin in load().values() if not pin.images_of])
def test_a_checksum_goes_in_as_one_line(name: str) -> None:
    filled = with_checksum(TEXT, name, SOME)
    before, after = TEXT.splitlines(), filled.splitlines()
    assert len(after) == len(before) + (load()[name].sha256 is None)  # else it takes the earlier one's place
    assert [line for line in after if line not in before] == [f'sha256 = "{SOME}"']
    assert {pin.name: pin.sha256 for pin in parse(filled).values() if pin.sha256} == {
        **{pin.name: pin.sha256 for pin in load().values() if pin.sha256},
        name: SOME,
    }


def test_what_has_no_checksum_is_what_nobody_states_in_public_yet() -> None:
    """Each other one was read in two places that do not know of each other; none is ever invented."""
    assert {pin.name for pin in load().values() if not (pin.sha256 or pin.images_of)} == {
        "repo2docker", "build-base", "sample-base", "binderhub-chart", "cryptnono-chart",
    }  # fmt: skip


def test_a_checksum_is_replaced_by_a_new_one() -> None:
    first = with_checksum(TEXT, "helm", SOME)
    assert with_checksum(first, "helm", "b" * 64) == first.replace(SOME, "b" * 64)


@pytest.mark.parametrize(("name", "sha256"), [("nothing", SOME), ("helm", "abc"), ("helm", f'{"a" * 63}"')])
def test_what_is_no_checksum_does_not_go_in(name: str, sha256: str) -> None:
    with pytest.raises(BundleError):
        with_checksum(TEXT, name, sha256)
