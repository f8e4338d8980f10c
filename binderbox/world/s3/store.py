"""The object store from inside: bucket, owner marker, ceiling, and a key that is good for one bucket alone.

Each `ensure_` looks first, changes only what differs, and returns whether it changed (or, dry, would change)
anything. Secrets go over the connection that the caller forwards; nothing here prints or keeps them.

Unfinished uploads: MinIO and its forks refuse a lifecycle rule with AbortIncompleteMultipartUpload (such a rule has
no action that they know, so it counts as malformed XML). Their own setting does the same for every bucket:
`api stale_uploads_expiry`. The chart sets it in the server's environment, which outweighs what is stored.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3
from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException, S3Error

from binderbox.errors import StepFailed
from binderbox.patience import patient
from binderbox.world.s3.seen import REGION

OWNER_MARKER = "binderbox-owner.json"
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 5, 20
TRIES = 7
BAD_KEY = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"}


@dataclass(frozen=True)
class Key:
    """An access key; its text is a placeholder, so that no log can hold the secret."""

    access: str
    secret: str

    def __repr__(self) -> str:
        return "Key(***)"


@dataclass(frozen=True)
class Store:
    """A server as its root key sees it: the S3 side and the administration side."""

    s3: Minio
    admin: MinioAdmin
    address: str


def answers(address: str, root: Key) -> None:
    """Ask it once; raises urllib3's HTTPError where it does not answer yet, and S3Error where it refuses the key."""
    _s3(address, root, tries=1).list_buckets()


def connect(address: str, root: Key) -> Store:
    """A store at `address` (host:port, plain HTTP: inside the node or through our own forward)."""
    return Store(
        s3=_s3(address, root),
        admin=MinioAdmin(
            endpoint=address,
            credentials=StaticProvider(root.access, root.secret),
            secure=False,
            http_client=_http(),
        ),
        address=address,
    )


def ensure_bucket(store: Store, bucket: str, *, dry: bool = False) -> bool:
    """Make the bucket if it is not there."""
    if store.s3.bucket_exists(bucket):
        return False
    if not dry:
        store.s3.make_bucket(bucket)
    return True


def ensure_owner(store: Store, bucket: str, owner: str, *, dry: bool = False) -> bool:
    """Mark the bucket as this member's; refuse one that another member has marked.

    Two registries on one bucket overwrote each other's pushes: mybinder.org-deploy 1e89e162, 0c5dcaa3.
    """
    found = _owner(store, bucket)
    if found == owner:
        return False
    if found is not None:
        raise StepFailed(
            f"the bucket {bucket} belongs to {found}, and this member is {owner}",
            cause="two registries on one bucket overwrite each other's pushes",
            remedy=f"give this member a bucket of its own, or remove {OWNER_MARKER} from the bucket if {found} is gone",
        )
    if not dry:
        text = json.dumps({"owner": owner}).encode()
        store.s3.put_object(
            bucket, OWNER_MARKER, io.BytesIO(text), len(text), content_type="application/json"
        )
    return True


def ensure_ceiling(store: Store, bucket: str, max_gb: float, *, dry: bool = False) -> bool:
    """Refuse writes beyond `max_gb` (10^9 bytes), so that a push fails rather than the node's disk."""
    wanted = int(max_gb * 1e9)
    try:
        found = int(json.loads(store.admin.bucket_quota_get(bucket)).get("quota", 0))
    except MinioAdminException:  # no bucket yet, on a dry run
        found = 0
    if found == wanted:
        return False
    if not dry:
        store.admin.bucket_quota_set(bucket, wanted)
    return True


def ensure_key(store: Store, key: Key, bucket: str, *, dry: bool = False) -> bool:
    """Make `key` good for this bucket and nothing else; also mends a key whose secret or rights were changed."""
    policy, name = bucket_policy(bucket), f"bucket-{bucket}"
    right_policy = same_policy(_policy(store, name), policy)
    right_user = user_has(_user(store, key.access), name) and _opens(store.address, key, bucket)
    if right_policy and right_user:
        return False
    if not dry:
        store.admin.policy_add(name, policy=policy)
        store.admin.user_add(key.access, key.secret)
        store.admin.policy_set(name, user=key.access)
    return True


# ---- judged without a server ----


def bucket_policy(bucket: str) -> dict[str, Any]:
    """What distribution needs of its bucket: objects, parts of uploads, and the lists of both."""
    arn = f"arn:aws:s3:::{bucket}"
    on_bucket = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
    on_objects = [
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
    ]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": on_bucket, "Resource": [arn]},
            {"Effect": "Allow", "Action": on_objects, "Resource": [f"{arn}/*"]},
        ],
    }


def same_policy(found: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> bool:
    """Whether two policies say the same; the server gives lists back in an order of its own."""
    return found is not None and _plain(found) == _plain(wanted)


def user_has(found: Mapping[str, Any] | None, policy: str) -> bool:
    """Whether a user is enabled with exactly this policy."""
    return found is not None and found.get("status") == "enabled" and found.get("policyName") == policy


def _plain(policy: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return sorted(
        (one["Effect"], tuple(sorted(one["Action"])), tuple(sorted(one["Resource"])))
        for one in policy["Statement"]
    )


# ---- asked of the server ----


def _http(tries: int = TRIES) -> urllib3.PoolManager:
    timeout = urllib3.Timeout(connect=patient(CONNECT_TIMEOUT_S), read=patient(READ_TIMEOUT_S))
    # It answers 503 for the first moments of its life.
    again = urllib3.Retry(total=tries - 1, backoff_factor=0.3, status_forcelist=(502, 503, 504))
    return urllib3.PoolManager(timeout=timeout, retries=again)


def _s3(address: str, key: Key, tries: int = TRIES) -> Minio:
    # The region is given, or the client would ask for it before each call on a bucket.
    return Minio(address, key.access, key.secret, secure=False, region=REGION, http_client=_http(tries))


def _opens(address: str, key: Key, bucket: str) -> bool:
    try:
        next(iter(_s3(address, key).list_objects(bucket)), None)
    except S3Error as error:
        if error.code in BAD_KEY:
            return False
        if error.code == "NoSuchBucket":
            return False
        raise
    return True


def _owner(store: Store, bucket: str) -> str | None:
    try:
        answer = store.s3.get_object(bucket, OWNER_MARKER)
    except S3Error as error:
        if error.code in {"NoSuchKey", "NoSuchBucket"}:
            return None
        raise
    try:
        return str(json.loads(answer.read())["owner"])
    finally:
        answer.close()
        answer.release_conn()


def _policy(store: Store, name: str) -> dict[str, Any] | None:
    try:
        found = json.loads(store.admin.policy_info(name))
    except MinioAdminException:
        return None
    return dict(found.get("Policy", found))


def _user(store: Store, name: str) -> dict[str, Any] | None:
    try:
        return dict(json.loads(store.admin.user_info(name)))
    except MinioAdminException:
        return None
