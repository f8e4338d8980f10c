"""A base image whose config claims that its layer is another image's. BuildKit and containerd know layers by that claim alone,
so whoever came first would have his files in everybody's builds on the other image."""

from __future__ import annotations

import dataclasses
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pytest

from binderbox import layout
from tests.conftest import Installed
from tests.parts.builder.test_on_host import Ended, Node
from tests.rig import images
from tests.rig.ociarchive import Layer, compress, write_archive

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(900)]

IMPORT = f"{layout.K3S} ctr -n k8s.io images import --no-unpack - >/dev/null"


@dataclass
class Bases:
    """An image, and one that claims to have its layer; each has its own word in /who."""

    node: Node
    honest: str
    evil: str

    def build(self, base: str, step: str = "cat /who") -> Ended:
        name = f"base-{token_hex(3)}"
        self.node.write(f"{name}/Dockerfile", f"FROM {base}\nENV UNIQUE={token_hex(4)}\nRUN {step}\n")
        return self.node.build(name)


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
    node.delete_all()
    node.exec(f"{layout.K3S} ctr -n k8s.io images rm {made.honest} {made.evil} >/dev/null")


@pytest.mark.xfail(
    strict=True, reason="BuildKit 0.32 believes an image's config: docs/decisions/bases-claim.md"
)
def test_whoever_builds_on_the_image_itself_gets_its_files(bases: Bases) -> None:
    bases.build(bases.evil)
    built = bases.build(bases.honest)
    assert "evil-" not in built.log


def test_one_that_comes_after_what_it_claims_to_be_has_what_was_there(bases: Bases) -> None:
    before = bases.build(bases.honest)
    assert (before.phase, "honest-" in before.log) == ("Succeeded", True), before.log
    assert "evil-" not in bases.build(bases.evil).log
    after = bases.build(bases.honest)
    assert (after.phase, "honest-" in after.log) == ("Succeeded", True), after.log


def test_nobody_takes_the_name_of_what_repo2docker_builds_on(
    installed_host: Installed, tmp_path: Path
) -> None:
    """An install has unpacked it before anybody comes."""
    node, name = Node(installed_host.host), f"evil.example/{token_hex(4)}:1"
    (base,) = images.build_base_image().layers
    lying = dataclasses.replace(layer_of("evil\n", tmp_path / "evil"), diff_id=base.diff_id)
    evil = dataclasses.replace(images.build_base_image(), reference=name, layers=(lying,))
    write_archive(tmp_path / "image.tar", [evil])
    node.exec(IMPORT, (tmp_path / "image.tar").read_bytes())
    made = Bases(node, images.BUILD_BASE, name)
    for base_image in (made.evil, made.honest):
        built = made.build(base_image, "test ! -e /who && ls /usr/bin/dpkg")
        assert (built.phase, "/usr/bin/dpkg" in built.log) == ("Succeeded", True), built.log
    node.delete_all()
    node.exec(f"{layout.K3S} ctr -n k8s.io images rm {name} >/dev/null")
