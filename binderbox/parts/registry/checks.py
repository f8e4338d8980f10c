"""The registry: that it works, and that only those reach it who should."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from binderbox import layout
from binderbox.checks.core import Check, Verdict, failed, passed
from binderbox.checks.probe import Answer, Probe, Skip
from binderbox.checks.workloads import AGAIN, hours_since, judge_ready, look_deployments

REGISTRY_HEADER = "docker-distribution-api-version"
LATE_H = 49  # two days without a sweep: its job hangs, or ends before it says anything


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
    registry_ip: str


def look_exposure(probe: Probe) -> Exposure:
    member = probe.member
    service = probe.kubectl_json(["get", "service", "registry", "-n", layout.NAMESPACE])
    registry_url = member.hub_url.replace("hub.", "registry.", 1)
    urls = (f"{member.binder_url}/v2/", f"{member.hub_url}/v2/", f"{registry_url}/v2/")
    return Exposure(service["spec"], tuple(map(probe.http, urls)), member.networks.registry_ip)


def judge_exposure(found: Exposure) -> Verdict:
    bad = [answer.url for answer in found.public if REGISTRY_HEADER in answer.headers]
    kind, address = found.service.get("type"), found.service.get("clusterIP")
    if kind != "ClusterIP" or address != found.registry_ip:
        bad.append(f"its service is {kind} at {address}")
    if not bad:
        return passed(f"only {found.registry_ip} inside the host")
    return failed("; ".join(bad), f"ClusterIP {found.registry_ip}, and no public route", AGAIN)


def look_forgets(probe: Probe) -> Mapping[str, Any]:
    """+ hours: since the last sweep"""
    found = probe.forgets()
    if found is None or not (found["why"] or found.get("swept")):
        raise Skip("it was not swept yet")
    return {**found, "hours": hours_since(probe, found["swept"]) if found.get("swept") else 0.0}


def judge_forgets(found: Mapping[str, Any]) -> Verdict:
    if not found["why"] and found["hours"] > LATE_H:
        fix = f"journalctl -u binderbox-retention on the host; {AGAIN}"
        return failed(f"the last sweep was {found['hours']:.0f} hours ago", "a sweep a day", fix)
    if found["why"]:
        return failed(
            found["why"], "a sweep a day", f"{AGAIN}; journalctl -u binderbox-retention on the host"
        )
    return passed(
        f"{found['images']} images, {found['size_bytes'] / 1e9:.1f} GB; {found['forgotten']} forgotten last"
    )


CHECKS = (
    Check("BBX-R01", "registry", "the registry is ready", look_deployments(layout.NAMESPACE, "registry"), judge_ready,
          "It keeps everything in the bucket, and can be restarted at any time."),
    Check("BBX-R02", "registry", "the registry answers those with the credential", look_with_credential, judge_welcome,
          "containerd, the door and BinderHub hold it."),
    Check("BBX-R03", "registry", "the registry refuses everybody else", look_without_credential, judge_refusal,
          "Asked from the host, without credential."),
    Check("BBX-R04", "registry", "the registry has no public route", look_exposure, judge_exposure,
          "Images of users are nobody else's; uploads from outside would be."),
    Check("BBX-S01", "retention", "the registry forgets what nobody launches", look_forgets, judge_forgets,
          "Once a day, and above nine tenths of its ceiling the longest idle go. Without it the bucket only grows."),
)  # fmt: skip
