"""The bucket and the registry on it: that they work, and that only those reach them who should."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from binderbox import layout
from binderbox.checks.core import Check, Verdict, failed, passed
from binderbox.checks.probe import Answer, Bucket, Probe
from binderbox.checks.workloads import AGAIN, judge_ready, look_deployments

REGISTRY_HEADER = "docker-distribution-api-version"


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


def look_with_credential(probe: Probe) -> Answer:
    return probe.registry("/v2/", credential=True)


def look_without_credential(probe: Probe) -> Answer:
    return probe.registry("/v2/", credential=False)


def judge_welcome(answer: Answer) -> Verdict:
    if answer.status == 200:
        return passed("200")
    told = str(answer.status) if answer.status else answer.error
    return failed(told, "200", f"kubectl -n {layout.NAMESPACE} logs deployment/registry on the host")


def judge_refusal(answer: Answer) -> Verdict:
    if answer.status == 401:
        return passed("401")
    told = str(answer.status) if answer.status else answer.error
    return failed(told, "401: build and user pods have no credential", AGAIN)


@dataclass(frozen=True)
class Exposure:
    """The registry's service, and what the public names answered when asked for a registry."""

    service: Mapping[str, Any]
    public: tuple[Answer, ...]


def look_exposure(probe: Probe) -> Exposure:
    member = probe.member
    service = probe.kubectl_json(["get", "service", "registry", "-n", layout.NAMESPACE])
    registry_url = member.hub_url.replace("hub.", "registry.", 1)
    urls = (f"{member.binder_url}/v2/", f"{member.hub_url}/v2/", f"{registry_url}/v2/")
    return Exposure(service["spec"], tuple(map(probe.http, urls)))


def judge_exposure(found: Exposure) -> Verdict:
    bad = [answer.url for answer in found.public if REGISTRY_HEADER in answer.headers]
    kind, address = found.service.get("type"), found.service.get("clusterIP")
    if kind != "ClusterIP" or address != layout.REGISTRY_IP:
        bad.append(f"its service is {kind} at {address}")
    if not bad:
        return passed(f"only {layout.REGISTRY_IP} inside the host")
    return failed("; ".join(bad), f"ClusterIP {layout.REGISTRY_IP}, and no public route", AGAIN)


CHECKS = (
    Check("BBX-O01", "objectstore", "the object store is ready", look_deployments(layout.NAMESPACE, "objectstore"), judge_ready,
          "Its data lies in binderbox's own directory on the host."),
    Check("BBX-O02", "objectstore", "the bucket exists", look_bucket, judge_bucket,
          "Asked with the registry's own key."),
    Check("BBX-O03", "objectstore", "unfinished uploads are thrown away", look_bucket, judge_lifecycle,
          "Abandoned multipart uploads are invisible and grow for ever."),
    Check("BBX-O04", "objectstore", "the registry's key opens its bucket only", look_bucket, judge_key,
          "Tried with a bucket of another name."),
    Check("BBX-R01", "registry", "the registry is ready", look_deployments(layout.NAMESPACE, "registry"), judge_ready,
          "It keeps everything in the bucket, and can be restarted at any time."),
    Check("BBX-R02", "registry", "the registry answers those with the credential", look_with_credential, judge_welcome,
          "containerd, the door and BinderHub hold it."),
    Check("BBX-R03", "registry", "the registry refuses everybody else", look_without_credential, judge_refusal,
          "Asked from the host, without credential."),
    Check("BBX-R04", "registry", "the registry has no public route", look_exposure, judge_exposure,
          "Images of users are nobody else's; uploads from outside would be."),
)  # fmt: skip
