"""The registry's bucket as its own key sees it: signed here, asked by the node, and S3's whole client is not needed for it."""

from __future__ import annotations

from collections.abc import Sequence

from aws_request_signer import UNSIGNED_PAYLOAD, AwsRequestSigner

from binderbox import layout
from binderbox.checks.probe import Bucket, Skip
from binderbox.errors import Unhealthy
from binderbox.member.model import ObjectStore
from binderbox.world.host.hosts import Host

FOREIGN_BUCKET = "binderbox-not-yours"  # asked for with the registry's key, which must be refused
REGION = "us-east-1"  # MinIO's and its forks' own
GOOD_FOR_S = 60  # a signature that leaks opens nothing for longer
HOW = 'head\noutput = "/dev/null"\nwrite-out = "%{http_code} "\nmax-time = 10\nsilent\nshow-error\n'


def seen_by_its_key(host: Host, address: str) -> Bucket:
    """What the registry's key gets at the object store at `address` (without port).

    Raises Skip where the key does not exist yet, Unhealthy where nobody answers.
    """
    access, key = (secret(host, name) for name in layout.REGISTRY_KEYS)
    there = f"http://{address}:{layout.OBJECTSTORE_PORT}"
    return _seen(host, requests((f"{there}/{layout.BUCKET}", f"{there}/{FOREIGN_BUCKET}"), access, key))


def seen_outside(host: Host, store: ObjectStore) -> Bucket:
    """The same of somebody else's, of which there is but one bucket to ask for."""
    access, key = (secret(host, name) for name in layout.STORE_KEYS)
    place = url_of(store)
    return _seen(host, requests((place, place), access, key, store.region))


def _seen(host: Host, asked: str) -> Bucket:
    # By its standard input: a signed address is as good as a key, and the node's process list is public.
    output = host.run(["curl", "-K", "-"], stdin=asked.encode(), timeout_s=30)
    statuses = [int(word) for word in output.stdout.decode().split()]
    if output.code or len(statuses) != 2:
        raise Unhealthy(
            f"{host.name}: the object store did not answer",
            cause=output.stderr.decode(errors="replace").strip()[-500:],
            remedy=f"binderbox install {host.name}",
        )
    return Bucket(*statuses)


def requests(buckets: Sequence[str], access: str, secret: str, region: str = REGION) -> str:
    """curl's config for one HEAD of each bucket, by its address; curl then prints their statuses."""
    signer = AwsRequestSigner(region, access, secret, "s3")
    urls = [
        signer.presign_url("HEAD", url, content_hash=UNSIGNED_PAYLOAD, expires=GOOD_FOR_S) for url in buckets
    ]
    return "next\n".join(f'url = "{url}"\n{HOW}' for url in urls)


def url_of(store: ObjectStore, key: str = "") -> str:
    """Of the bucket or an object in it, in the store's style."""
    if store.path_style:
        return f"{store.endpoint}/{store.bucket}/{key}" if key else f"{store.endpoint}/{store.bucket}"
    scheme, _, host = store.endpoint.partition("://")
    return f"{scheme}://{store.bucket}.{host}/{key}"


def secret(host: Host, name: str) -> str:
    """One of the object store's keys; raises Skip where there is none yet."""
    found = host.read(f"{layout.SECRETS}/{name}")
    if found is None:
        raise Skip("the object store's keys do not exist yet")
    return found.decode().strip()
