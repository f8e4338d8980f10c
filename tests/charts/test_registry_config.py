"""A real registry with the configuration that its chart renders, on a real bucket, with the key made for it."""

import json
from collections.abc import Iterator

import pytest

from tests.parts.registry.server import OCI, Registry, running_registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as there:
        yield there


def test_nobody_gets_in_without_the_credential(registry: Registry) -> None:
    assert registry.ask("GET", "/v2/", known=False).status == 401
    assert registry.ask("GET", "/v2/").status == 200


def test_an_image_comes_back_by_the_question_that_binderhub_asks(registry: Registry) -> None:
    config, layer = registry.push_blob("i-a", b"{}"), registry.push_blob("i-a", b"layer" * 100_000)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
            "layers": [
                {"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", "digest": layer, "size": 500_000}
            ],
        }
    ).encode()
    put = registry.ask("PUT", "/v2/i-a/manifests/abc", manifest, **{"Content-Type": OCI})
    assert put.status == 201, put.read()
    assert registry.ask("GET", "/v2/i-a/manifests/abc", Accept=OCI).read() == manifest
    assert registry.ask("GET", "/v2/i-a/manifests/other", Accept=OCI).status == 404
    blob = registry.ask("GET", f"/v2/i-a/blobs/{layer}")
    assert blob.status == 200, "a redirect would lead to an address that only the cluster knows"
    assert len(blob.read()) == 500_000
    deleted = registry.ask("DELETE", f"/v2/i-a/manifests/{put.headers['Docker-Content-Digest']}")
    assert deleted.status == 202
