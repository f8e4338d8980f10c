"""A bucket of somebody's S3 behind TLS: what it lets the registry do is found out, and each fault has its name."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aws_request_signer
import pytest
from minio.commonconfig import ENABLED, Filter
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule
from minio.versioningconfig import VersioningConfig

from binderbox import layout
from binderbox.checks.core import run_checks
from binderbox.checks.probe import Outside, Skip
from binderbox.errors import StepFailed
from binderbox.member.model import Member, ObjectStore
from binderbox.output.results import CheckResult
from binderbox.parts.checks import of
from binderbox.world.s3 import store
from binderbox.world.s3.outside import TRIAL, ensure_owner, expiring, looked
from binderbox.world.s3.seen import url_of
from binderbox.world.s3.store import OWNER_MARKER, Key
from binderbox.world.ssh.shell import Output
from tests.checks.fakes import GOOD, FakeProbe
from tests.rig.internet.pace import Pace
from tests.rig.outsidestore import BUCKET, KEY, OutsideStore, outside_store

ME = "binder.example.org"


@dataclass
class Here:
    """This machine, as a host with the keys of the object store."""

    key: Key = KEY
    name: str = "here"

    def read(self, path: str) -> bytes | None:
        return dict(
            zip(
                (f"{layout.SECRETS}/{name}" for name in layout.STORE_KEYS),
                (self.key.access.encode(), self.key.secret.encode()),
                strict=True,
            )
        ).get(path)

    def run(self, words: list[str], *, stdin: bytes = b"", timeout_s: float = 60) -> Output:
        assert self.key.secret not in " ".join(words)
        done = subprocess.run(words, input=stdin, capture_output=True, timeout=timeout_s, check=False)
        return Output(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutsideStore]:
    with outside_store("127.0.0.1", tmp_path_factory.mktemp("outside")) as there:
        yield there


@pytest.fixture
def outside(server: OutsideStore) -> Iterator[OutsideStore]:
    yield server
    server.front.well()
    left = [one.object_name for one in server.inner.s3.list_objects(BUCKET)]
    assert TRIAL not in left, "what was tried goes again"
    if OWNER_MARKER in left:
        server.inner.s3.remove_object(BUCKET, OWNER_MARKER)


def key_with(outside: OutsideStore, name: str, policy: dict[str, Any]) -> Key:
    """A key of its own that may do what a policy says."""
    key = Key(name, "1" * 40)
    outside.inner.admin.policy_add(name, policy=policy)
    outside.inner.admin.user_add(key.access, key.secret)
    outside.inner.admin.policy_set(name, user=key.access)
    return key


def of_config(outside: OutsideStore, **more: object) -> ObjectStore:
    return ObjectStore(**{"endpoint": outside.endpoint, "bucket": BUCKET, "network": "10.9.0.0/16", **more})  # type: ignore[arg-type]


def look(outside: OutsideStore, key: Key = KEY, **more: object) -> Outside:
    return looked(Here(key), of_config(outside, **more), [outside.ca_pem])  # type: ignore[arg-type]


def judged(found: Outside, **more: object) -> dict[str, CheckResult]:
    config = ObjectStore(endpoint="https://s3.example.edu", bucket=BUCKET, network=None, **more)  # type: ignore[arg-type]
    member = Member(domain=ME, object_store=config)
    facts = replace(GOOD, secrets=layout.STORE_KEYS)
    return {
        one.id: one
        for one in run_checks(of("store"), FakeProbe(facts=facts, member=member, outside_found=found))
    }


def bad(found: Outside) -> dict[str, str]:
    return {one.id: one.verdict for one in judged(found).values() if one.verdict not in ("pass", "skip")}


def test_a_store_that_is_well_passes_every_check(outside: OutsideStore) -> None:
    found = look(outside)
    assert bad(replace(found, put_mb_s=100, get_mb_s=100)) == {}, found
    assert all(one.verdict == "pass" for one in judged(replace(found, put_mb_s=100, get_mb_s=100)).values())
    assert found.put_mb_s > 1
    assert found.get_mb_s > 1


def test_a_bucket_is_found_by_the_hosts_own_trust_too(outside: OutsideStore) -> None:
    found = looked(Here(), of_config(outside), ())  # type: ignore[arg-type]
    (reached,) = [one for one in judged(found).values() if one.id == "BBX-C02"]
    assert reached.verdict == "fail"
    assert "certificate" in reached.measured
    assert "extra_ca" in reached.fix
    assert set(bad(found)) == {"BBX-C02"}, "nothing else is said of a store that was not reached"


def busy(front: OutsideStore) -> None:
    front.front.busy = 3


def slow(front: OutsideStore) -> None:
    front.front.pace = Pace(1e6)


def ahead(front: OutsideStore) -> None:
    front.front.ahead_s = 1200


def gone(front: OutsideStore) -> None:
    front.front.gone = True


def redirected(front: OutsideStore) -> None:
    front.front.redirected = True


@pytest.mark.parametrize(
    ("fault", "check", "verdict", "says", "fix"),
    [
        (slow, "BBX-C06", "warn", "MB/s up", "nearer"),
        (ahead, "BBX-C08", "fail", " s apart", "timedatectl"),
        (gone, "BBX-C02", "fail", "curl: ", "object_store.endpoint"),
        (redirected, "BBX-C03", "fail", "another region", "object_store.region"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)  # fmt: skip
def test_each_fault_of_a_store_has_its_name_and_its_way_out(
    outside: OutsideStore,
    fault: Callable[[OutsideStore], None],
    check: str,
    verdict: str,
    says: str,
    fix: str,
) -> None:
    fault(outside)
    one = judged(look(outside))[check]
    assert one.verdict == verdict, one
    assert says in one.measured
    assert fix in one.fix
    outside.front.well()
    look(outside)  # what could not be taken away before


def test_a_store_that_is_busy_is_told(outside: OutsideStore) -> None:
    busy(outside)
    found = look(outside)
    assert 5 <= found.busy <= 9
    assert bad(replace(found, put_mb_s=100, get_mb_s=100)) == {"BBX-C07": "warn"}
    outside.front.well()
    look(outside)


def test_a_store_that_cuts_off_every_upload_is_no_key_without_rights(outside: OutsideStore) -> None:
    outside.front.cuts = True
    one = judged(look(outside))["BBX-C04"]
    assert (one.verdict, one.measured.startswith("it did not get to write (cut off)")) == ("fail", True), one
    assert "rights" not in one.fix


@pytest.mark.parametrize(
    ("key", "more", "says", "fix"),
    [
        (Key("nobodynobody", KEY.secret), {}, "it does not know the key", "secrets set host.example s3-access-key"),
        (Key(KEY.access, "f" * 40), {}, "the secret half of the key is another one", "s3-secret-key"),
        (KEY, {"bucket": "another"}, "the key may not list it", "secrets set"),
    ],
)  # fmt: skip
def test_a_key_that_does_not_open_the_bucket(
    outside: OutsideStore, key: Key, more: dict[str, object], says: str, fix: str
) -> None:
    one = judged(look(outside, key, **more))["BBX-C03"]
    assert (one.verdict, says in one.measured, fix in one.fix) == ("fail", True, True), one


def test_a_bucket_that_is_not_there(outside: OutsideStore) -> None:
    root = Key("rootrootroot", "0123456789abcdef0123456789abcdef01234567")
    one = judged(look(outside, root, bucket="nowhere"))["BBX-C03"]
    assert "there is no such bucket" in one.measured
    assert "make the bucket" in one.fix


def test_a_key_that_may_not_delete(outside: OutsideStore) -> None:
    policy = store.bucket_policy(BUCKET)
    policy["Statement"][1]["Action"].remove("s3:DeleteObject")
    one = judged(look(outside, key_with(outside, "nodeletenodelete", policy)))["BBX-C04"]
    assert (one.verdict, one.measured) == ("fail", "it may not delete")
    assert "s3:DeleteObject" in one.fix
    outside.inner.s3.remove_object(BUCKET, TRIAL)


def test_a_bucket_with_versions(outside: OutsideStore) -> None:
    """The registry's key may not ask for it everywhere; where it may, old versions are told."""
    policy = store.bucket_policy(BUCKET)
    policy["Statement"][0]["Action"].append("s3:GetBucketVersioning")
    key = key_with(outside, "versionsversions", policy)
    outside.inner.s3.set_bucket_versioning(BUCKET, VersioningConfig(ENABLED))
    try:
        one = judged(look(outside, key))["BBX-C05"]
    finally:
        outside.inner.s3.set_bucket_versioning(BUCKET, VersioningConfig("Suspended"))
    assert (one.verdict, one.measured) == ("warn", "the bucket is versioned")


def test_a_marker_that_cannot_be_read_is_nobodys_word(
    outside: OutsideStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that puts off just this question, and takes the next: another member's marker must not be written over."""
    ensure_owner(Here(), of_config(outside), "other.example.org", [outside.ca_pem], dry=False)  # type: ignore[arg-type]
    outside.front.refused = OWNER_MARKER
    with pytest.raises(StepFailed, match="cannot be read"):
        ensure_owner(Here(), of_config(outside), ME, [outside.ca_pem], dry=False)  # type: ignore[arg-type]
    one = judged(look(outside))["BBX-C09"]
    assert (one.verdict, "HTTP 503" in one.measured) == ("fail", True)
    outside.front.well()
    assert judged(look(outside))["BBX-C09"].measured == "it is marked as that of other.example.org"


def test_a_clock_of_this_machine_that_is_off_is_no_wrong_key(
    outside: OutsideStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Addresses are signed here, and are good for a quarter of an hour by the store's clock."""
    for minutes in (-20, 40):

        class Off(datetime):
            @classmethod
            def utcnow(cls) -> datetime:  # type: ignore[override]
                return datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=minutes)  # noqa: B023

        monkeypatch.setattr(aws_request_signer.datetime, "datetime", Off)
        one = judged(look(outside))["BBX-C03"]
        monkeypatch.undo()
        assert (one.verdict, one.fix) == ("fail", "set the clock of this machine"), one


def test_a_bucket_with_versions_is_found_by_what_it_answers(outside: OutsideStore) -> None:
    """The registry's key may not ask for its setting."""
    outside.inner.s3.set_bucket_versioning(BUCKET, VersioningConfig(ENABLED))
    try:
        one = judged(look(outside))["BBX-C05"]
    finally:
        outside.inner.s3.set_bucket_versioning(BUCKET, VersioningConfig("Suspended"))
    assert (one.verdict, one.measured) == ("warn", "the bucket is versioned")
    assert judged(look(outside))["BBX-C05"].verdict == "pass"


def test_a_bucket_that_deletes_by_age(outside: OutsideStore) -> None:
    policy = store.bucket_policy(BUCKET)
    policy["Statement"][0]["Action"].append("s3:GetLifecycleConfiguration")
    key = key_with(outside, "rulesrulesrules", policy)
    rule = Rule(ENABLED, rule_filter=Filter(prefix="docker/"), rule_id="tidy", expiration=Expiration(days=30))
    outside.inner.s3.set_bucket_lifecycle(BUCKET, LifecycleConfig([rule]))
    try:
        one = judged(look(outside, key))["BBX-C10"]
    finally:
        outside.inner.s3.delete_bucket_lifecycle(BUCKET)
    assert (one.verdict, one.measured) == ("fail", "tidy: after 30 days")
    assert judged(look(outside, key))["BBX-C10"].verdict == "pass"


def rule_of(inner: str, status: str = "Enabled") -> str:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    return f"{head}<Rule>{inner}<Status>{status}</Status></Rule></LifecycleConfiguration>"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (rule_of("<ID>a</ID><Filter/><Expiration><Days>7</Days></Expiration>"), ["a: after 7 days"]),
        (
            rule_of("<Prefix></Prefix><Expiration><Days>1</Days></Expiration>"),
            ["without a name: after 1 days"],
        ),
        (
            rule_of(
                "<ID>b</ID><Filter><And><Prefix>docker/registry/v2/blobs/</Prefix></And></Filter>"
                "<Expiration><Date>2027-01-01T00:00:00Z</Date></Expiration>"
            ),
            ["b: after 2027-01-01T00:00:00Z"],
        ),
        (rule_of("<Filter><Prefix>logs/</Prefix></Filter><Expiration><Days>7</Days></Expiration>"), []),
        (rule_of("<Filter/><Expiration><Days>7</Days></Expiration>", "Disabled"), []),
        (rule_of("<Filter><Tag><Key>k</Key></Tag></Filter><Expiration><Days>7</Days></Expiration>"), []),
        (
            rule_of(
                "<Filter/><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
            ),
            [],
        ),
        (
            rule_of(
                "<Filter/><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>"
            ),
            [],
        ),
        ("", []),
        ("<html><p>not here", []),
    ],
)
def test_rules_that_concern_the_registry(body: str, said: list[str]) -> None:
    assert list(expiring(body)) == said


def test_keys_that_are_not_there_yet() -> None:
    member = Member(domain=ME, object_store=ObjectStore(endpoint="https://s3.example.edu", bucket=BUCKET))
    found = {one.id: one for one in run_checks(of("store"), FakeProbe(member=member))}
    assert found["BBX-C01"].verdict == "fail"
    assert "binderbox secrets set host.example s3-access-key" in found["BBX-C01"].fix
    assert {one.verdict for name, one in found.items() if name != "BBX-C01"} == {"skip"}


def test_a_member_with_its_own_store_is_asked_nothing() -> None:
    assert {one.verdict for one in run_checks(of("store"), FakeProbe())} == {"skip"}


def test_a_bucket_is_marked_once_and_another_members_refused(outside: OutsideStore) -> None:
    config, here = of_config(outside), Here()
    ca = [outside.ca_pem]
    assert ensure_owner(here, config, ME, ca, dry=True)  # type: ignore[arg-type]
    assert look(outside).owner == ""
    assert [bool(ensure_owner(here, config, ME, ca, dry=False)) for _ in range(2)] == [True, False]  # type: ignore[arg-type]
    assert look(outside).owner == ME
    with pytest.raises(StepFailed, match=f"belongs to {ME}"):
        ensure_owner(here, config, "other.example.org", ca, dry=False)  # type: ignore[arg-type]
    data = b'{"owner": "other.example.org"}'
    outside.inner.s3.put_object(BUCKET, OWNER_MARKER, io.BytesIO(data), len(data))
    one = judged(look(outside))["BBX-C09"]
    assert (one.verdict, "other.example.org" in one.measured) == ("fail", True)


def test_without_keys_on_the_node_nobody_is_asked(outside: OutsideStore) -> None:
    class Bare(Here):
        def read(self, path: str) -> bytes | None:
            return None

    with pytest.raises(Skip):
        looked(Bare(), of_config(outside))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path_style", "url"),
    [(True, "https://s3.example.edu/binderbox/k"), (False, "https://binderbox.s3.example.edu/k")],
)
def test_a_bucket_is_a_part_of_the_path_or_of_the_name(path_style: bool, url: str) -> None:
    config = ObjectStore(endpoint="https://s3.example.edu", bucket=BUCKET, path_style=path_style)
    assert url_of(config, "k") == url
