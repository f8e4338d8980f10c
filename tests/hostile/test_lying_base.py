"""A base image whose config claims that its layer is another image's. BuildKit and containerd know layers by that claim alone,
so whoever came first would have his files in everybody's builds on the other image."""

from __future__ import annotations

import dataclasses
import io
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pytest

from binderbox import layout
from tests.conftest import Installed
from tests.parts.builder.test_on_host import Ended, Node
from tests.rig import images
from tests.rig.ociarchive import Layer, compress, write_archive
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

IMPORT = f"{layout.K3S} ctr -n k8s.io images import --no-unpack - >/dev/null"
NOT_WHAT_IT_SAYS, MIXED_UP = "is not what it says it is", "Another image has claimed to be a base image"


@dataclass
class Bases:
    """An image, and one that claims to have its layer; each has its own word in /who."""

    node: Node
    honest: str
    evil: str

    def start(self, name: str, base: str, then: str = "true") -> str:
        self.node.write(
            f"{name}/Dockerfile", f"FROM {base}\nENV UNIQUE={token_hex(4)}\nRUN cat /who && {then}\n"
        )
        self.node.start(name)
        return name

    def build(self, base: str) -> Ended:
        return self.node.wait(self.start(f"base-{token_hex(3)}", base))


def layer_of(word: str, into: Path) -> Layer:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("who")
        member.size = len(word)
        tar.addfile(member, io.BytesIO(word.encode()))
    packed.seek(0)
    into.mkdir()
    return compress(packed, into)


@pytest.fixture
def bases(installed_host: Installed, tmp_path: Path) -> Iterator[Bases]:
    """Both are there as one who has pulled them has them, and nothing of them is unpacked."""
    node, run = Node(installed_host.host), token_hex(4)
    below = images.sample_base_image("unused")
    honest, evil = (layer_of(f"{word}-{run}\n", tmp_path / word) for word in ("honest", "evil"))
    made = Bases(node, f"honest.example/{run}:1", f"evil.example/{run}:1")
    lying = dataclasses.replace(evil, diff_id=honest.diff_id)
    for name, top in ((made.honest, honest), (made.evil, lying)):
        write_archive(
            tmp_path / "image.tar", [dataclasses.replace(below, reference=name, layers=(*below.layers, top))]
        )
        node.exec(IMPORT, (tmp_path / "image.tar").read_bytes())
    yield made
    node.kubectl(
        "delete", "pod", "-l", "binderbox-test=builder", "--grace-period=0", "--force", "--wait=true"
    )
    node.exec(f"{layout.K3S} ctr -n k8s.io images rm {made.honest} {made.evil} >/dev/null")


def test_it_is_found_and_the_image_that_it_claimed_to_be_is_itself_again(bases: Bases) -> None:
    lied = bases.build(bases.evil)
    assert (lied.phase, NOT_WHAT_IT_SAYS in lied.log) == ("Failed", True), lied.log
    said: list[Ended] = []

    def built() -> bool:
        said.append(bases.build(bases.honest))
        return said[-1].phase == "Succeeded"

    wait_until(built, 120, "a build on the image that it claimed to be")
    assert "honest-" in said[-1].log
    assert "evil-" not in said[-1].log
    assert all(MIXED_UP in one.log for one in said[:-1]), [one.log for one in said]
    told = bases.node.until_told("base-lied")
    assert bases.evil in told[-1]["image"]
    assert "evil-" not in bases.build(bases.evil).log


@pytest.mark.long
def test_who_builds_meanwhile_gets_no_file_of_it(bases: Bases) -> None:
    """Whether it runs beside, or waits for the only slot and is next."""
    name = bases.start("lies-long", bases.evil, "sleep 20")
    bases.node.until_said(name, "evil-")
    with ThreadPoolExecutor(2) as pool:
        beside = pool.submit(bases.build, bases.honest)
        other = pool.submit(bases.build, images.SAMPLE_BASE)
        lied = bases.node.wait(name)
        assert (lied.phase, NOT_WHAT_IT_SAYS in lied.log) == ("Failed", True), lied.log
        got = beside.result()
        assert got.phase == "Failed" or "honest-" in got.log, got.log
        assert got.phase == "Succeeded" or MIXED_UP in got.log, got.log
        assert MIXED_UP not in other.result().log, "it has no layer of that name"
    wait_until(lambda: bases.build(bases.honest).phase == "Succeeded", 120, "a build on the image itself")


def test_one_that_comes_after_what_it_claims_to_be_harms_nobody(bases: Bases) -> None:
    """It has what was there before, as everybody has."""
    before = bases.build(bases.honest)
    assert (before.phase, "honest-" in before.log) == ("Succeeded", True), before.log
    lied = bases.build(bases.evil)
    assert "evil-" not in lied.log
    assert lied.phase == "Succeeded" or NOT_WHAT_IT_SAYS in lied.log, lied.log
    after = bases.build(bases.honest)
    assert (after.phase, "honest-" in after.log) == ("Succeeded", True), after.log
