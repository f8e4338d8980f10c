"""Which images are there as wanted, read from the two tables as ctr of containerd 2.3 prints them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from binderbox.deploys.facts.artifacts import PulledImages

DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
NAME, EXACT = "docker.io/library/registry:3.1.1", f"docker.io/library/registry@{DIGEST}"
KIND = "application/vnd.oci.image.manifest.v1+json"
PINNED = "io.cri-containerd.pinned=pinned"
LISTED = "REF   TYPE   DIGEST   SIZE   PLATFORMS   LABELS"
CHECKED = "REF   TYPE   DIGEST   STATUS   SIZE   UNPACKED"


def listed(name: str, digest: str = DIGEST, labels: str = PINNED) -> str:
    return f"{name}   {KIND} {digest} 17.1 MiB linux/amd64,linux/arm64/v8 {labels} "


def checked(name: str, status: str = "complete (2/2)", unpacked: str = "true") -> str:
    return f"{name}   {KIND} {DIGEST} {status} 17.1 MiB/17.1 MiB {unpacked}"


def found(lists: Sequence[str], checks: Sequence[str]) -> set[tuple[str, str]]:
    fact = PulledImages()
    fact.command(wanted=[(EXACT, NAME)])
    return fact.process([LISTED, *lists, "==", CHECKED, *checks])


BOTH = (listed(NAME), listed(EXACT))
WHOLE = (checked(NAME), checked(EXACT))


def test_one_that_is_whole_pinned_and_of_its_digest_is_there() -> None:
    assert found(BOTH, WHOLE) == {(EXACT, NAME)}
    labels = f"io.cri-containerd.image=managed,{PINNED}"
    assert found((listed(NAME, labels=labels), listed(EXACT, labels=labels)), WHOLE) == {(EXACT, NAME)}


def test_the_name_that_it_is_run_by_is_enough() -> None:
    """A follower pulls by the tag that the prime runs."""
    assert found((listed(NAME),), (checked(NAME),)) == {(EXACT, NAME)}


@pytest.mark.parametrize(
    ("lists", "checks"),
    [
        ((), ()),
        ((listed(EXACT),), WHOLE),
        ((listed(NAME, OTHER), listed(EXACT)), WHOLE),
        ((listed(NAME, OTHER), listed(EXACT, OTHER)), WHOLE),
        ((listed(NAME, labels="-"), listed(EXACT)), WHOLE),
        ((listed(NAME, labels=f"x{PINNED}"), listed(EXACT)), WHOLE),
        (BOTH, (checked(EXACT),)),
        (BOTH, (checked(NAME, "incomplete (1/2)"), checked(EXACT))),
        (BOTH, (checked(NAME, "unavailable (0/?)"), checked(EXACT))),
        (BOTH, (checked(NAME, unpacked="false"), checked(EXACT))),
    ],
    ids=[
        "nothing",
        "no tag",
        "the tag is another",
        "both are another",
        "not pinned",
        "another label",
        "one that ctr cannot check",
        "a part is lost",
        "the manifest is lost",
        "not unpacked",
    ],
)
def test_one_that_is_not_is_pulled(lists: Sequence[str], checks: Sequence[str]) -> None:
    assert found(lists, checks) == set()


def test_where_containerd_does_not_run_yet_nothing_is_there() -> None:
    fact = PulledImages()
    command = str(fact.command(wanted=[(EXACT, f"{NAME}'; reboot")]))
    assert command.startswith("[ -S /run/k3s/containerd/containerd.sock ] && {")
    assert "'name==\"docker.io/library/registry:3.1.1'\"'\"'; reboot\"'" in command
    assert fact.process([]) == fact.default() == set()
