"""The bucket on the object store: that it is there, forgets unfinished uploads, and opens to its own key alone."""

from __future__ import annotations

from binderbox import layout
from binderbox.checks.core import Check, Verdict, failed, passed
from binderbox.checks.probe import Bucket, Probe
from binderbox.checks.workloads import AGAIN, judge_ready, look_deployments


def look_bucket(probe: Probe) -> Bucket:
    return probe.bucket()


def judge_bucket(bucket: Bucket) -> Verdict:
    if bucket.exists:
        return passed(layout.BUCKET)
    return failed("it does not exist", f"the bucket {layout.BUCKET}", AGAIN)


def judge_lifecycle(bucket: Bucket) -> Verdict:
    """Read back from the store, because a setting that is accepted is not always kept."""
    if bucket.abort_multipart_days == 1:
        return passed("after 1 day")
    told = "never" if bucket.abort_multipart_days is None else f"after {bucket.abort_multipart_days} days"
    return failed(told, "after 1 day", AGAIN)


def judge_key(bucket: Bucket) -> Verdict:
    if bucket.other_bucket == "denied":
        return passed("another bucket is denied")
    return failed(f"another bucket: {bucket.other_bucket}", "denied", f"{AGAIN}: it sets the key's policy")


CHECKS = (
    Check("BBX-O01", "objectstore", "the object store is ready", look_deployments(layout.NAMESPACE, "objectstore"), judge_ready,
          "Its data lies in binderbox's own directory on the host."),
    Check("BBX-O02", "objectstore", "the bucket exists", look_bucket, judge_bucket,
          "Asked with the registry's own key."),
    Check("BBX-O03", "objectstore", "unfinished uploads are thrown away", look_bucket, judge_lifecycle,
          "Abandoned multipart uploads are invisible and grow for ever."),
    Check("BBX-O04", "objectstore", "the registry's key opens its bucket only", look_bucket, judge_key,
          "Tried with a bucket of another name."),
)  # fmt: skip
