"""Artifacts reach the node once, by their checksum, from a bundle or from their URL."""

import hashlib
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pyinfra.api import deploy

from binderbox import layout
from binderbox.artifacts.bundling import BundledImage
from binderbox.commands.bundle.writing import write_archive
from binderbox.deploys.operations import artifacts
from binderbox.errors import BundleError, StepFailed
from binderbox.parts.fetch import program
from binderbox.parts.secrets.ca import make_ca, make_leaf
from binderbox.world.host.hosts import Host
from binderbox.world.pyinfra import deploying
from tests.federation.serving import Handler, Served
from tests.places import ROOT


@dataclass(frozen=True)
class Artifact:
    name: str
    sha256: str
    file: str | None = None
    url: str | None = None
    manifest: str | None = None
    images: tuple[str, ...] = ()


@pytest.fixture
def bundle(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program and an archive with two programs; the node's artifacts lie in the test's directory."""
    monkeypatch.setattr(layout, "ARTIFACTS", str(directory / "artifacts"))
    made = directory / "bundle"
    (made / "bin").mkdir(parents=True)
    (made / "bin/one").write_bytes(os.urandom(2_000_000))
    (made / "bin/two").write_bytes(b"two")
    subprocess.run(["tar", "-C", made, "-czf", made / "tools.tgz", "bin"], check=True)
    return made


def in_bundle(bundle: Path, name: str) -> Artifact:
    return Artifact(Path(name).name, hashlib.sha256((bundle / name).read_bytes()).hexdigest(), name)


@deploy("Install")
def install(one: Artifact, tools: Artifact, bundle: Path | None, directory: Path) -> None:
    artifacts.place(one, bundle, name="place one")
    artifacts.place(tools, bundle, name="place tools")
    artifacts.installed(artifacts.path_of(one), f"{directory}/usr/one", name="install one")
    members = {"bin/one": f"{directory}/usr/first", "bin/two": f"{directory}/lib/second"}
    artifacts.extract(artifacts.path_of(tools), members, name="unpack tools")


@pytest.fixture
def arguments(bundle: Path, directory: Path) -> tuple[Artifact, Artifact, Path, Path]:
    one, tools = in_bundle(bundle, "bin/one"), in_bundle(bundle, "tools.tgz")
    return one, tools, bundle, directory


Arguments = tuple[Artifact, Artifact, Path, Path]


def test_from_a_bundle_once(host: Host, arguments: Arguments) -> None:
    one, _, bundle, directory = arguments
    first = deploying.run(host, install, *arguments)
    assert first.changed == ("place one", "place tools", "install one", "unpack tools")
    assert (directory / f"artifacts/{one.sha256}/one").read_bytes() == (bundle / "bin/one").read_bytes()
    for name in ("usr/one", "usr/first"):
        assert (directory / name).read_bytes() == (bundle / "bin/one").read_bytes()
        assert (directory / name).stat().st_mode & 0o777 == 0o755
    assert (directory / "lib/second").read_bytes() == b"two"
    assert deploying.run(host, install, *arguments).changed == ()
    left = [
        path.name
        for path in directory.rglob("*")
        if path.name.startswith((".bbx", ".x-")) or ".part" in path.name
    ]
    assert left == []


@pytest.mark.parametrize(
    ("harm", "operations"),
    [
        ("artifacts/{sha256}/one", ("place one", "install one")),
        ("usr/one", ("install one",)),
        ("lib/second", ("unpack tools",)),
    ],
)
def test_a_changed_file_is_put_right(
    host: Host, arguments: Arguments, harm: str, operations: tuple[str, ...]
) -> None:
    directory = arguments[3]
    deploying.run(host, install, *arguments)
    path = directory / harm.format(sha256=arguments[0].sha256)
    good = path.read_bytes()
    path.write_bytes(b"harm" + good)
    assert set(deploying.run(host, install, *arguments).changed) <= set(operations)
    assert path.read_bytes() == good


def test_a_wrong_byte_in_the_bundle_stops_before_anything_is_sent(host: Host, arguments: Arguments) -> None:
    one, tools, bundle, directory = arguments
    (bundle / "bin/one").write_bytes(b"x")
    found = hashlib.sha256(b"x").hexdigest()
    with pytest.raises(BundleError, match="artifact one") as refused:
        deploying.run(host, install, one, tools, bundle, directory)
    assert one.sha256 in refused.value.cause
    assert found in refused.value.cause
    assert refused.value.exit_code == 4
    assert not (directory / "artifacts").exists()


def test_a_file_missing_in_the_bundle_is_named(host: Host, arguments: Arguments) -> None:
    (arguments[2] / "tools.tgz").unlink()
    with pytest.raises(BundleError, match=r"artifact tools\.tgz is not in the bundle"):
        deploying.run(host, install, *arguments)


NAMES = ("docker.io/library/registry:3", "docker.io/rancher/mirrored-pause:3.6")


@pytest.mark.parametrize("names", [NAMES[:1], NAMES, NAMES[1:]])
def test_a_pinned_image_is_looked_into_before_its_archive_is_sent(
    host: Host, arguments: Arguments, names: tuple[str, ...]
) -> None:
    """An archive that carries another name, too, would be imported under that as well."""
    _, tools, bundle, directory = arguments
    (bundle / "layer").write_bytes(b"layer")
    layer = hashlib.sha256(b"layer").hexdigest()
    described = {"digest": f"sha256:{layer}", "size": 5}
    manifest = json.dumps({"schemaVersion": 2, "config": described, "layers": [described]}).encode()
    sha256 = hashlib.sha256(manifest).hexdigest()
    images = [BundledImage(name, sha256) for name in names]
    write_archive(bundle / "image.tar", images, {sha256: manifest}, {layer: bundle / "layer"})
    image = replace(in_bundle(bundle, "image.tar"), images=NAMES[:1], manifest=sha256)
    if names == NAMES[:1]:
        assert "place one" in deploying.run(host, install, image, tools, bundle, directory).changed
        image = replace(image, manifest="0" * 64)
        (directory / f"artifacts/{image.sha256}/image.tar").unlink()
    with pytest.raises(BundleError, match=r"artifact image\.tar in the bundle is not what") as refused:
        deploying.run(host, install, image, tools, bundle, directory)
    named = f"index.json names {NAMES[1]}, which is not to be in it"
    assert (named if len(names) > 1 else f"{NAMES[0]}") in refused.value.cause
    assert not (directory / f"artifacts/{image.sha256}/image.tar").exists()


@pytest.fixture
def web(bundle: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The bundle's files over TLS; the node's program is the one of this checkout, and trusts that."""

    class Files(Handler):
        def answer(self) -> None:
            file = bundle / self.path.partition("?")[0].lstrip("/")
            self.send(200, file.read_bytes()) if file.is_file() else self.send(404)

    class Web(Served):
        handler = Files

    authority = make_ca("the bundle's")
    leaf = make_leaf(authority, ["localhost"])
    (directory / "ca.pem").write_text(authority.certificate_pem)
    (directory / "web.pem").write_text(leaf.certificate_pem + leaf.key_pem)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(directory / "web.pem")
    program_here = ("env", f"CURL_CA_BUNDLE={directory}/ca.pem", f"PYTHONPATH={ROOT}", sys.executable)
    monkeypatch.setattr(program, "WORDS", (*program_here, "-m", "binderbox.parts.fetch"))
    server = Web(tls=tls)
    server.start()
    yield f"https://localhost:{server.port}"
    server.close()


def test_from_a_url_and_never_with_a_wrong_checksum(host: Host, arguments: Arguments, web: str) -> None:
    one, tools, _, directory = arguments
    one, tools = (
        replace(one, file=None, url=f"{web}/bin/one"),
        replace(tools, file=None, url=f"{web}/tools.tgz?x=1"),
    )
    assert len(deploying.run(host, install, one, tools, None, directory).changed) == 4
    assert deploying.run(host, install, one, tools, None, directory).changed == ()
    wrong = replace(one, sha256="0" * 64)
    with pytest.raises(StepFailed, match="place one") as refused:
        deploying.run(host, install, wrong, tools, None, directory)
    assert f"{web}/bin/one: expected sha256 {'0' * 64}, found {one.sha256}" in refused.value.cause
    assert [one.name for one in (directory / "artifacts" / ("0" * 64)).iterdir()] == ["one.lock"]
