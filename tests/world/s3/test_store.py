"""The object store as binderbox sets it up: judged on plain data, then on the rig's real server."""

import io
import subprocess
import zlib
from collections.abc import Iterator

import pytest
from minio.error import S3Error

from binderbox.errors import StepFailed
from binderbox.parts.objectstore.values import STALE_UPLOADS_EXPIRY
from binderbox.world.s3 import store
from binderbox.world.s3.seen import requests
from binderbox.world.s3.store import Key, Store
from tests.world.s3.storeserver import running_store

ROOT = Key("rootrootroot", "0123456789abcdef0123456789abcdef01234567")
REGISTRY = Key("a1b2c3d4e5f6a7b8c9d0", "fedcba9876543210fedcba9876543210fedcba98")


# ---- judged without a server ----


def test_a_policy_in_another_order_is_the_same() -> None:
    wanted = store.bucket_policy("registry")
    turned = {
        "Version": "2012-10-17",
        "Statement": [{**one, "Action": one["Action"][::-1]} for one in wanted["Statement"][::-1]],
    }
    assert store.same_policy(turned, wanted)


def test_a_policy_that_allows_more_is_not_the_same() -> None:
    wanted = store.bucket_policy("registry")
    wider = {
        **wanted,
        "Statement": [{**wanted["Statement"][0], "Resource": ["arn:aws:s3:::*"]}, wanted["Statement"][1]],
    }
    assert not store.same_policy(wider, wanted)
    assert not store.same_policy(None, wanted)


@pytest.mark.parametrize(
    ("user", "right"),
    [
        ({"status": "enabled", "policyName": "bucket-registry"}, True),
        ({"status": "disabled", "policyName": "bucket-registry"}, False),
        ({"status": "enabled", "policyName": "bucket-registry,consoleAdmin"}, False),
        ({"status": "enabled"}, False),
        (None, False),
    ],
)
def test_a_key_has_its_policy_and_no_other(user: dict[str, str] | None, right: bool) -> None:
    assert store.user_has(user, "bucket-registry") is right


def test_a_key_never_prints_itself() -> None:
    assert "fedcba" not in f"{REGISTRY} {REGISTRY!r} {[REGISTRY]}"


# ---- a real server ----


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("objects"), ROOT) as there:
        yield there


@pytest.fixture
def bucket(server: Store, request: pytest.FixtureRequest) -> str:
    name = f"b{zlib.crc32(request.node.name.encode())}"
    assert store.ensure_bucket(server, name)
    return name


def statuses(server: Store, key: Key, *buckets: str) -> list[int]:
    """As a check asks: signed by us, sent by curl."""
    asked = requests([f"http://{server.address}/{name}" for name in buckets], key.access, key.secret)
    said = subprocess.run(["curl", "-K", "-"], input=asked, text=True, capture_output=True, check=True)
    return [int(word) for word in said.stdout.split()]


def test_a_bucket_is_made_once(server: Store) -> None:
    assert store.ensure_bucket(server, "once", dry=True)
    assert not server.s3.bucket_exists("once")
    assert [store.ensure_bucket(server, "once") for _ in range(2)] == [True, False]


def test_a_bucket_of_another_member_is_refused(server: Store, bucket: str) -> None:
    assert store.ensure_owner(server, bucket, "binder.example.org")
    assert not store.ensure_owner(server, bucket, "binder.example.org")
    with pytest.raises(StepFailed) as refused:
        store.ensure_owner(server, bucket, "other.example.org")
    assert "binder.example.org" in refused.value.message


def test_the_ceiling_holds_and_is_set_once(server: Store, bucket: str) -> None:
    assert [store.ensure_ceiling(server, bucket, 1.5) for _ in range(2)] == [True, False]
    assert store.ensure_ceiling(server, bucket, 2.0, dry=True)
    assert not store.ensure_ceiling(server, bucket, 1.5)
    assert store.ensure_ceiling(server, bucket, 0.000001)
    with pytest.raises(S3Error):
        server.s3.put_object(bucket, "big", io.BytesIO(b"0" * 10_000), 10_000)


def test_a_key_opens_its_bucket_and_no_other(server: Store, bucket: str) -> None:
    store.ensure_bucket(server, "foreign")
    assert store.ensure_key(server, REGISTRY, bucket)
    assert not store.ensure_key(server, REGISTRY, bucket)
    assert statuses(server, REGISTRY, bucket, "foreign", "nowhere") == [200, 403, 403]
    with pytest.raises(S3Error, match="AccessDenied"):
        store.connect(server.address, REGISTRY).s3.make_bucket("new")


def test_what_a_look_tells_apart(server: Store, bucket: str) -> None:
    assert statuses(server, ROOT, bucket, "nowhere") == [200, 404]
    assert statuses(server, Key(ROOT.access, "anothersecretanothersecret"), bucket) == [403]


def test_a_key_does_what_the_registry_does(server: Store, bucket: str) -> None:
    store.ensure_key(server, REGISTRY, bucket)
    mine = store.connect(server.address, REGISTRY).s3
    size = 11 * 1024 * 1024
    mine.put_object(bucket, "layer", io.BytesIO(bytes(size)), size, part_size=5 * 1024 * 1024)
    assert mine.stat_object(bucket, "layer").size == size
    assert [one.object_name for one in mine.list_objects(bucket)] == ["layer"]
    mine.remove_object(bucket, "layer")


def test_a_key_that_somebody_changed_is_mended(server: Store, bucket: str) -> None:
    store.ensure_key(server, REGISTRY, bucket)
    server.admin.user_add(REGISTRY.access, "anothersecretanothersecret")
    assert store.ensure_key(server, REGISTRY, bucket, dry=True)
    assert store.ensure_key(server, REGISTRY, bucket)
    server.admin.user_disable(REGISTRY.access)
    assert store.ensure_key(server, REGISTRY, bucket)
    assert not store.ensure_key(server, REGISTRY, bucket)


def test_the_server_s_environment_outweighs_what_is_stored(server: Store) -> None:
    """Why a check may read the age of abandoned uploads where the server's pod was given it."""
    server.admin.config_set("api", {"stale_uploads_expiry": "36h"})
    told = server.admin.config_get("api")
    assert f"# MINIO_API_STALE_UPLOADS_EXPIRY={STALE_UPLOADS_EXPIRY}" in told


def test_a_lifecycle_rule_would_not_do(server: Store, bucket: str) -> None:
    """Why the age is the server's own setting: see world/s3/store.py. When this fails, a rule is the better way."""
    from minio.commonconfig import ENABLED, Filter
    from minio.lifecycleconfig import AbortIncompleteMultipartUpload, LifecycleConfig, Rule

    rule = Rule(
        ENABLED,
        rule_filter=Filter(prefix=""),
        abort_incomplete_multipart_upload=AbortIncompleteMultipartUpload(days_after_initiation=1),
    )
    with pytest.raises(S3Error, match="not well-formed"):
        server.s3.set_bucket_lifecycle(bucket, LifecycleConfig([rule]))
