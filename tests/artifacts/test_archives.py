"""What an image archive may hold: exactly the images that were vouched for, whole, and nothing that reads two ways."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from binderbox.artifacts import archives, manifests
from binderbox.artifacts.bundling import BundledImage
from binderbox.commands.bundle.writing import write_archive

NAME, OTHER = "docker.io/library/registry:3.1.2", "docker.io/rancher/mirrored-pause:3.6"
Members = list[tuple[str, bytes]]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


CONFIG, LAYER = b'{"architecture":"amd64"}', b"\x1f\x8b a layer" * 1000


def manifest(*parts: bytes) -> bytes:
    config, *layers = [{"digest": f"sha256:{sha256(part)}", "size": len(part)} for part in parts]
    return json.dumps({"schemaVersion": 2, "config": config, "layers": layers}).encode()


MANIFEST = manifest(CONFIG, LAYER)
ARM = manifest(b'{"architecture":"arm64"}', b"another layer")
PLATFORMS = [("linux", "amd64", MANIFEST), ("linux", "arm64", ARM), ("unknown", "unknown", b"signed")]
SEVERAL = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": manifests.OCI_INDEX,
        "manifests": [
            {
                "digest": f"sha256:{sha256(body)}",
                "size": len(body),
                "platform": {"os": os, "architecture": arch},
            }
            for os, arch, body in PLATFORMS
        ],
    }
).encode()
DIGEST = sha256(MANIFEST)


def members(*described: dict[str, Any], index: bytes | None = None) -> Members:
    """A good archive with this index.json."""
    named = described or (entry(),)
    return [
        ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
        ("index.json", index or json.dumps({"schemaVersion": 2, "manifests": named}).encode()),
        *((f"blobs/sha256/{sha256(blob)}", blob) for blob in (CONFIG, LAYER, MANIFEST)),
    ]


def entry(name: str | None = NAME, body: bytes = MANIFEST, **more: Any) -> dict[str, Any]:
    named = {"annotations": {"io.containerd.image.name": name}} if name else {}
    return {"digest": f"sha256:{sha256(body)}", "size": len(body), **named, **more}


def packed(found: Members) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in found:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def said(data: bytes, images: dict[str, str | None] | None = None) -> list[str]:
    return archives.faults(io.BytesIO(data), {NAME: DIGEST} if images is None else images)


def test_an_archive_with_the_image_that_was_named_is_well() -> None:
    assert said(packed(members())) == []
    assert said(packed(members()), {NAME: None}) == []
    assert said(gzip.compress(packed(members()))) == []


def test_an_index_needs_the_manifest_of_one_architecture_alone() -> None:
    found = [*members(entry(body=SEVERAL)), (f"blobs/sha256/{sha256(SEVERAL)}", SEVERAL)]
    assert said(packed(found), {NAME: sha256(SEVERAL)}) == []
    without = [one for one in found if one[1] != MANIFEST]
    assert said(packed(without), {NAME: sha256(SEVERAL)}) == [f"{NAME}: no manifest of its index is there"]
    assert said(packed(found), {NAME: DIGEST}) == [
        f"{NAME}: expected sha256:{DIGEST}, found sha256:{sha256(SEVERAL)}"
    ]


def test_a_written_archive_is_well_and_the_same_each_time(tmp_path: Path) -> None:
    for name, blob in (("config", CONFIG), ("layer", LAYER)):
        (tmp_path / name).write_bytes(blob)
    blobs = {sha256(CONFIG): tmp_path / "config", sha256(LAYER): tmp_path / "layer"}
    texts = {sha256(SEVERAL): SEVERAL, DIGEST: MANIFEST}
    images = [BundledImage(NAME, sha256(SEVERAL)), BundledImage(OTHER, DIGEST)]
    for file in ("one.tar", "two.tar"):
        write_archive(tmp_path / file, images, texts, blobs)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with (tmp_path / "one.tar").open("rb") as file:
        assert archives.faults(file, {image.name: image.sha256 for image in images}) == []
        assert archives.faults(file, {NAME: None}) == [f"index.json names {OTHER}, which is not to be in it"]


TWICE = b'{"schemaVersion":2,"manifests":[%s],"%s":[%s]}'
GOOD, EVIL = json.dumps(entry()).encode(), json.dumps(entry(OTHER)).encode()


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (members(entry(), entry(OTHER)), f"index.json names {OTHER}, which is not to be in it"),
        (members(entry(), entry()), f"index.json names {NAME} twice"),
        (members(entry(), entry(None)), "index.json names an image without a name, which is not to be in it"),
        (members(entry(OTHER)), f"{NAME} is not in it"),
        (members(entry(body=CONFIG)), f"{NAME}: expected sha256:{DIGEST}, found sha256:{sha256(CONFIG)}"),
        (members(entry(size=5)), f"sha256:{DIGEST} is not 5 bytes long"),
        (members(index=TWICE % (GOOD, b"manifests", EVIL)), "a key stands there twice"),
        (members(index=TWICE % (GOOD, b"Manifests", EVIL)), "a key stands there twice"),
        (members(index=TWICE % (GOOD, "manife\u017fts".encode(), EVIL)), "a key stands there twice"),
        (members(index=b'{"Manifests":[%s]}' % GOOD), "cannot be read: KeyError 'manifests'"),
        (members(index=b"[]"), "cannot be read"),
        (members(index=b"["), "cannot be read"),
        (members(entry(digest="sha256:../../x")), "expected a sha256 and a size"),
        (members()[1:], "oci-layout is missing"),
        ([("oci-layout", b'{"imageLayoutVersion":"2"}'), *members()[1:]], "expected version 1.0.0, found '2'"),
        ([*members(), ("index.json", EVIL)], "index.json stands twice"),
        ([*members(), ("./index.json", EVIL)], "'./index.json' is no file of an image archive"),
        ([*members(), ("blobs/sha256/x", b"")], "'blobs/sha256/x' is no file of an image archive"),
        (
            [*members(), ("manifest.json", json.dumps([{"RepoTags": [OTHER]}]).encode())],
            f"manifest.json names {OTHER}",
        ),
        ([(name, data.replace(b"layer", b"lager", 1)) for name, data in members()], "its sha256 is "),
        ([one for one in members() if one[1] != LAYER], f"{NAME}: sha256:{sha256(LAYER)} is missing"),
        ([one for one in members() if one[1] != MANIFEST], f"{NAME}: sha256:{DIGEST} is missing"),
    ],
)  # fmt: skip
def test_what_is_not_as_it_was_named_is_a_fault(found: Members, says: str) -> None:
    assert any(says in fault for fault in said(packed(found))), said(packed(found))


def link(tar: tarfile.TarFile) -> None:
    info = tarfile.TarInfo("manifest.json")
    info.type, info.linkname = tarfile.SYMTYPE, "index.json"
    tar.addfile(info)


def renamed(tar: tarfile.TarFile) -> None:
    info = tarfile.TarInfo("manifest.json")
    info.pax_headers = {"comment": "x"}
    tar.addfile(info)


@pytest.mark.parametrize("add", [link, renamed])
def test_a_member_that_is_no_plain_file_is_a_fault(add: Callable[[tarfile.TarFile], None]) -> None:
    out = io.BytesIO(packed(members()))
    with tarfile.open(fileobj=out, mode="a") as tar:
        add(tar)
    assert said(out.getvalue()) == ["manifest.json is no plain file"]


def test_nothing_stands_after_the_end() -> None:
    good = packed(members())
    assert said(good + packed([("index.json", EVIL)])) == ["something stands after its end"]
    damaged = bytearray(packed([*members(), ("manifest.json", b"[]")]))
    start = bytes(damaged).index(b"manifest.json\0")
    damaged[start + 148 : start + 156] = b"0000000\0"
    assert said(bytes(damaged)) == ["something stands after its end"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no archive",
        gzip.compress(packed(members()))[:-20],
        packed(members())[:3000],
        b"\x28\xb5\x2f\xfd",
    ],
    ids=["empty", "text", "gzip, cut off", "cut off", "zstd"],
)
def test_what_is_no_archive_is_told_and_never_raised(data: bytes) -> None:
    assert said(data)


def test_one_architecture_is_chosen_from_an_index() -> None:
    assert manifests.of_architecture(SEVERAL, "arm64") == manifests.Blob(sha256(ARM), len(ARM))
    with pytest.raises(
        ValueError, match="expected an image for linux/riscv64, found linux/amd64, linux/arm64"
    ):
        manifests.of_architecture(SEVERAL, "riscv64")
    assert [one.sha256 for one in manifests.children(MANIFEST)] == [sha256(CONFIG), sha256(LAYER)]
    assert manifests.media_type(MANIFEST) == manifests.OCI_MANIFEST
    with pytest.raises(ValueError, match="expected a manifest with config and layers"):
        manifests.children(b'{"errors": []}')
