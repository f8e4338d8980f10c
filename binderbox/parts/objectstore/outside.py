"""A bucket of somebody's S3: whether the registry can live on it. Asked before anything changes, and by `check`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from binderbox import layout
from binderbox.checks.core import Check, Verdict, failed, passed, warned
from binderbox.checks.probe import Outside, Probe, Skip
from binderbox.member.model import ObjectStore

OWN = "the object store is the node's own"
SLOW_MB_S, SLOW_MS = 50.0, 500
APART_S, REFUSED_APART_S = (
    60,
    900,
)  # S3 refuses whoever signs with a clock that is 15 minutes off: RequestTimeTooSkewed
WORDS = {
    "InvalidAccessKeyId": "it does not know the key",
    "SignatureDoesNotMatch": "the secret half of the key is another one",
    "AccessDenied": "the key may not list it",
    "NoSuchBucket": "there is no such bucket",
    "PermanentRedirect": "it is in another region or under another address",
    "AuthorizationHeaderMalformed": "it is in another region",
    "AuthorizationQueryParametersError": "it is in another region",
    "RequestTimeTooSkewed": "this machine's clock is off",
}


@dataclass(frozen=True)
class Asked:
    """+ missing: which of its keys are not on the node"""

    store: ObjectStore
    domain: str
    missing: tuple[str, ...]
    found: Outside | None


def look(probe: Probe) -> Asked:
    store = probe.member.object_store
    if store is None:
        raise Skip(OWN)
    missing = tuple(name for name in layout.STORE_KEYS if name not in probe.facts.secrets)
    return Asked(store, probe.member.domain, missing, None if missing else probe.outside_store())


def judge_keys(asked: Asked) -> Verdict:
    if not asked.missing:
        return passed("both")
    first = asked.missing[0]
    return failed(
        f"missing: {', '.join(asked.missing)}",
        "its access key and the secret half",
        f"binderbox secrets set HOST {first} < FILE",
    )


def _answered(judge: Callable[[Asked, Outside], Verdict]) -> Callable[[Asked], Verdict]:
    """For those that somebody must have answered first."""

    def judged(asked: Asked) -> Verdict:
        if asked.found is None or not asked.found.status:
            raise Skip("nobody was asked" if asked.found is None else "nobody answered")
        return judge(asked, asked.found)

    return judged


def judge_reached(asked: Asked) -> Verdict:
    if asked.found is None:
        raise Skip("nobody was asked")
    if asked.found.status:
        return passed(f"{asked.store.endpoint}, {asked.found.latency_ms} ms")
    fix = "correct object_store.endpoint"
    if "SSL" in asked.found.error or "certificate" in asked.found.error:
        fix = "put the authority of its certificate into extra_ca, or correct object_store.endpoint"
    return failed(asked.found.error, f"an answer from {asked.store.endpoint}", fix)


def judge_opens(asked: Asked, found: Outside) -> Verdict:
    if found.status == 200:
        return passed(asked.store.bucket)
    told = WORDS.get(found.code, found.code or f"HTTP {found.status}")
    fix = {
        "NoSuchBucket": f"make the bucket {asked.store.bucket} there, or correct object_store.bucket",
        "PermanentRedirect": "correct object_store.endpoint and object_store.region",
        "RequestTimeTooSkewed": "set the clock of this machine",
    }.get(found.code, "binderbox secrets set HOST s3-access-key < FILE, and s3-secret-key")
    if "region" in told and found.code != "PermanentRedirect":
        fix = f"object_store.region: {found.region}" if found.region else "correct object_store.region"
    return failed(f"{told} ({found.code or found.status})", f"a list of the bucket {asked.store.bucket}", fix)


def judge_rights(asked: Asked, found: Outside) -> Verdict:
    told = {"write": found.put, "read": found.get, "upload in parts": found.uploads, "delete": found.delete}
    tried = {what: status in (200, 204) for what, status in told.items()}
    tried["delete"] &= found.after == 404
    if unanswered := [
        f"{what} ({'cut off' if status < 200 else f'HTTP {status}'})"
        for what, status in {**told, "see that it is deleted": found.after}.items()
        if status < 200 or status in (429, 500, 502, 503, 504)
    ]:
        return failed(
            f"it did not get to {', '.join(unanswered)}",
            "an answer within five tries",
            "ask whoever runs it why it puts off or cuts off what is sent there",
        )
    if lacking := [what for what, may in tried.items() if not may]:
        rights = "s3:PutObject, s3:GetObject, s3:DeleteObject, s3:AbortMultipartUpload, s3:ListMultipartUploadParts, s3:ListBucketMultipartUploads, s3:ListBucket"
        return failed(
            f"it may not {', '.join(lacking)}",
            "all that the registry and its retention do",
            f"give the key these rights: {rights}",
        )
    return passed(", ".join(tried))


def judge_versions(asked: Asked, found: Outside) -> Verdict:
    if not found.versioned:
        return passed("none")
    fix = "suspend versioning of the bucket, or give it a lifecycle rule that expires old versions"
    return warned(
        "the bucket is versioned",
        "what is deleted is gone",
        f"{fix}: else it only grows, whatever the registry forgets",
    )


def judge_rules(asked: Asked, found: Outside) -> Verdict:
    """A rule by age takes a base's layers, which are the oldest, from under every image that is built on them."""
    if not found.expires:
        return passed("none that is told")
    return failed(
        "; ".join(found.expires),
        "no rule of the bucket that deletes by age",
        "remove the rule, or limit it to other prefixes than docker/: the registry forgets by itself, what nobody launches",
    )


def judge_pace(asked: Asked, found: Outside) -> Verdict:
    told = f"{found.put_mb_s:g} MB/s up, {found.get_mb_s:g} MB/s down, {found.latency_ms} ms"
    if min(found.put_mb_s, found.get_mb_s) >= SLOW_MB_S and found.latency_ms <= SLOW_MS:
        return passed(told)
    return warned(
        told,
        f"{SLOW_MB_S:g} MB/s and {SLOW_MS} ms",
        "launches of images that left the node wait for it; choose a store that is nearer",
    )


def judge_busy(asked: Asked, found: Outside) -> Verdict:
    if not found.busy:
        return passed("it answered all")
    return warned(
        f"{found.busy} of 20 questions were put off (503 or 429)",
        "an answer each time",
        "ask whoever runs it for a higher rate",
    )


def judge_clock(asked: Asked, found: Outside) -> Verdict:
    if found.offset_s is None:
        return passed("it tells no time")
    apart = abs(found.offset_s)
    told = f"{apart:.0f} s apart"
    if apart >= REFUSED_APART_S:
        return failed(
            told,
            f"less than {REFUSED_APART_S} s: it refuses signatures beyond",
            "set the clock of the host: timedatectl set-ntp true",
        )
    if apart >= APART_S:
        return warned(
            told, f"less than {APART_S} s", "timedatectl set-ntp true on the host, if it is that clock"
        )
    return passed(told)


def judge_owner(asked: Asked, found: Outside) -> Verdict:
    """Two registries on one bucket overwrote each other's pushes: mybinder.org-deploy 1e89e162, 0c5dcaa3."""
    if found.owner_told not in (200, 404):
        told = f"whose it is could not be read (HTTP {found.owner_told})"
        return failed(
            told, "its owner's name, or none", "see that binderbox-owner.json can be read with the key"
        )
    if found.owner in ("", asked.domain):
        return passed(found.owner or "nobody's yet")
    return failed(
        f"it is marked as that of {found.owner}",
        "a bucket of this member's alone",
        f"another bucket, or remove binderbox-owner.json from it if {found.owner} is gone",
    )


CHECKS = (
    Check("BBX-C01", "store", "the keys of the config's object store are on the node", look, judge_keys,
          "They are secrets, and so no part of the config."),
    Check("BBX-C02", "store", "the object store is reached and vouched for", look, judge_reached,
          "Asked from the host, which trusts extra_ca too."),
    Check("BBX-C03", "store", "its key opens the bucket", look, _answered(judge_opens),
          "The bucket must be there: nobody but its owner makes one."),
    Check("BBX-C04", "store", "the registry may do there what it must", look, _answered(judge_rights),
          "Tried with an object of 16 MB, which goes again."),
    Check("BBX-C05", "store", "the bucket keeps no old versions", look, _answered(judge_versions),
          "What retention deletes would stay, and be paid for."),
    Check("BBX-C06", "store", "the object store is quick", look, _answered(judge_pace),
          "Pushes and pulls of images wait for it."),
    Check("BBX-C07", "store", "the object store is not too busy", look, _answered(judge_busy),
          "Asked 20 times in a row."),
    Check("BBX-C08", "store", "its clock and the host's agree", look, _answered(judge_clock),
          "Signatures of S3 are good for 15 minutes."),
    Check("BBX-C09", "store", "the bucket is this member's", look, _answered(judge_owner),
          "Two registries on one bucket overwrite each other's pushes."),
    Check("BBX-C10", "store", "no rule of the bucket deletes what the registry holds", look, _answered(judge_rules),
          "Asked where the key has s3:GetLifecycleConfiguration."),
)  # fmt: skip
