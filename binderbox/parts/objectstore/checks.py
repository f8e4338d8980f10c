"""The bucket on the object store: that it is there, forgets unfinished uploads, and opens to its own key alone."""

from __future__ import annotations

from binderbox import layout
from binderbox.checks.core import Check, Verdict, failed, passed
from binderbox.checks.probe import Bucket, Probe, Skip
from binderbox.checks.workloads import AGAIN, Ready, judge_ready, look_deployments
from binderbox.parts.objectstore.values import STALE_UPLOADS_EXPIRY

OUTSIDE = "the object store is not the node's own"
OPEN, REFUSED, MISSING = 200, 403, 404
EXPIRY, LABEL = "MINIO_API_STALE_UPLOADS_EXPIRY", "app.kubernetes.io/name=objectstore"


def look_server(probe: Probe) -> Ready:
    if probe.member.object_store:
        raise Skip(OUTSIDE)
    return look_deployments(layout.NAMESPACE, "objectstore")(probe)


def look_bucket(probe: Probe) -> tuple[str, Bucket]:
    """Its name, and what it answers."""
    store = probe.member.object_store
    return (store.bucket if store else layout.BUCKET), probe.bucket()


def look_key(probe: Probe) -> Bucket:
    if probe.member.object_store:
        raise Skip(OUTSIDE)
    return probe.bucket()


def judge_bucket(named: tuple[str, Bucket]) -> Verdict:
    name, bucket = named
    if bucket.own == OPEN:
        return passed(name)
    told = {MISSING: "it does not exist", REFUSED: "its key is refused"}.get(bucket.own, f"HTTP {bucket.own}")
    return failed(told, f"the bucket {name}", AGAIN)


def judge_key(bucket: Bucket) -> Verdict:
    """Rights are looked at before existence: whoever learns that a bucket is missing might have opened it."""
    if bucket.other == REFUSED:
        return passed("another bucket is denied")
    return failed(f"another bucket: HTTP {bucket.other}", "denied", f"{AGAIN}: it sets the key's policy")


def look_expiry(probe: Probe) -> tuple[str | None, ...]:
    """The setting, where the server is the node's own, as each running server was given it; in a server of this kind the environment outweighs what is stored."""
    if probe.member.object_store:
        raise Skip(OUTSIDE)
    pods = probe.kubectl_json(["get", "pods", "-n", layout.NAMESPACE, "-l", LABEL])["items"]
    containers = [one for pod in pods for one in pod["spec"]["containers"]]
    return tuple(
        next((one.get("value") for one in container.get("env", ()) if one["name"] == EXPIRY), None)
        for container in containers
    )


def judge_expiry(found: tuple[str | None, ...]) -> Verdict:
    if found and all(one == STALE_UPLOADS_EXPIRY for one in found):
        return passed(f"after {STALE_UPLOADS_EXPIRY}")
    told = ", ".join(f"after {one}" if one else "no age is set" for one in found) or "no server runs"
    return failed(told, f"after {STALE_UPLOADS_EXPIRY}", AGAIN)


CHECKS = (
    Check("BBX-O01", "objectstore", "the object store is ready", look_server, judge_ready,
          "Its data lies in binderbox's own directory on the host."),
    Check("BBX-O02", "objectstore", "the bucket exists", look_bucket, judge_bucket,
          "Asked with the registry's own key."),
    Check("BBX-O03", "objectstore", "unfinished uploads are thrown away", look_expiry, judge_expiry,
          "Abandoned multipart uploads are invisible and grow for ever."),
    Check("BBX-O04", "objectstore", "the registry's key opens its bucket only", look_key, judge_key,
          "Tried with a bucket of another name."),
)  # fmt: skip
