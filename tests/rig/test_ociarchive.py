"""An archive is what its digests say, and the same every time."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from pathlib import Path

from tests.rig.ociarchive import Image, compress, files_tar, write_archive


def read(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar.getmembers()}


def make(directory: Path, content: str = "x") -> Path:
    directory.mkdir()
    program = directory / "program"
    program.write_text(content)
    layer = compress(files_tar({"/bin/program": program}), directory)
    image = Image("rig.binderbox.test/x:1", (layer,), {"Entrypoint": ["/bin/program"]})
    write_archive(directory / "image.tar", [image])
    return directory / "image.tar"


def test_every_blob_is_named_by_its_digest_and_found_from_the_index(tmp_path):
    files = read(make(tmp_path / "a"))
    for name, content in files.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"

    def blob(descriptor: dict) -> bytes:
        content = files[f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"]
        assert len(content) == descriptor["size"]
        return content

    (described,) = json.loads(files["index.json"])["manifests"]
    assert described["annotations"]["io.containerd.image.name"] == "rig.binderbox.test/x:1"
    manifest = json.loads(blob(described))
    config = json.loads(blob(manifest["config"]))
    (layer,) = manifest["layers"]
    diff_id = hashlib.sha256(gzip.decompress(blob(layer))).hexdigest()
    assert config["rootfs"]["diff_ids"] == [f"sha256:{diff_id}"]
    assert config["config"] == {"Entrypoint": ["/bin/program"]}


def test_docker_finds_the_same_image(tmp_path):
    files = read(make(tmp_path / "a"))
    (image,) = json.loads(files["manifest.json"])
    assert image["RepoTags"] == ["rig.binderbox.test/x:1"]
    assert {image["Config"], *image["Layers"]} <= set(files)


def test_the_same_content_gives_the_same_bytes(tmp_path):
    first, second, other = make(tmp_path / "a"), make(tmp_path / "b"), make(tmp_path / "c", content="y")
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() != other.read_bytes()
