"""A bucket that is somebody else's server: what it lets the registry do, how fast, and whose it is; asked from the node.

Requests are signed here and sent by the node's curl, which trusts whom the node trusts. What is written goes again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from xml.etree import ElementTree

from aws_request_signer import UNSIGNED_PAYLOAD, AwsRequestSigner

from binderbox import layout
from binderbox.checks.probe import Outside
from binderbox.errors import StepFailed
from binderbox.member.model import ObjectStore
from binderbox.world.host.hosts import Host
from binderbox.world.s3.seen import secret, url_of
from binderbox.world.s3.store import OWNER_MARKER

GOOD_FOR_S = 900
SAMPLE_MB = 16
TRIAL = "binderbox-trial"
BUSY, BUSY_ASKED = "busy", 20
ANSWER_S, SAMPLE_S = 10, 60

_SCRIPT = r"""
umask 077; t=$(mktemp -d) || exit 1; trap 'rm -rf "$t"' EXIT; cd "$t" || exit 1
head -c "$1" /dev/urandom >data
[ -z "$2" ] || { cat /etc/ssl/certs/ca-certificates.crt 2>/dev/null; printf '%s' "$2"; } >ca
date +%s.%N
curl -K - >told 2>errors
head -n 1 errors; cat told
for one in list versioning lifecycle owner put uploads; do echo "== $one"; head -c 3000 "$one.head" 2>/dev/null; echo; head -c 300000 "$one.body" 2>/dev/null; echo; done
"""
_WRITE_OUT = "%{http_code} %{speed_upload} %{speed_download} %{time_starttransfer}"


class _Signed:
    """curl's config, a section a request.

    + extra_ca: of the site, which the host itself trusts only after an install
    """

    def __init__(self, host: Host, store: ObjectStore, extra_ca: Sequence[str]) -> None:
        access, key = (secret(host, name) for name in layout.STORE_KEYS)
        self._host, self._store, self._extra_ca = host, store, "\n".join(extra_ca)
        self._signer = AwsRequestSigner(store.region, access, key, "s3")

    def section(
        self, name: str, method: str, key: str = "", query: str = "", *more: str, max_s: int = ANSWER_S
    ) -> str:
        plain = f"{url_of(self._store, key)}{f'?{query}' if query else ''}"
        url = self._signer.presign_url(method, plain, content_hash=UNSIGNED_PAYLOAD, expires=GOOD_FOR_S)
        lines = [
            f'url = "{url}"',
            f'request = "{method}"',
            f'output = "{name}.body"',
            f'dump-header = "{name}.head"',
            f'write-out = "{name} {_WRITE_OUT}\\n"',
            f"max-time = {max_s}",
            "connect-timeout = 5",
            "silent",
            "show-error",
            # What is put off comes later; a 503 in the midst of a sample arrives as a reset.
            *([] if name.startswith(BUSY) else ["retry = 4", "retry-delay = 1"]),
            *(["retry-all-errors"] if max_s == SAMPLE_S else []),
            *(['cacert = "ca"'] if self._extra_ca else []),
            *more,
        ]
        return "\n".join(lines)

    def asked(self, sections: Sequence[str], sample_mb: int = 0) -> _Answers:
        """+ sample_mb: of the file `data`, for those that send it"""
        # By its standard input: a signed address is as good as a key, and the node's process list is public.
        config = "\nnext\n".join(sections).encode()
        words = ["sh", "-c", _SCRIPT, "sh", str(sample_mb << 20), self._extra_ca]
        output = self._host.run(words, stdin=config, timeout_s=2 * SAMPLE_S + ANSWER_S * len(sections))
        return _Answers(output.stdout.decode(errors="replace"))


def looked(host: Host, store: ObjectStore, extra_ca: Sequence[str] = ()) -> Outside:
    """Try everything that the registry does there, once; raises Skip where its keys are not on the node yet."""
    signed = _Signed(host, store, extra_ca)
    first = [
        signed.section("list", "GET", query=f"list-type=2&max-keys=1&prefix={TRIAL}"),
        signed.section("versioning", "GET", query="versioning"),
        signed.section("lifecycle", "GET", query="lifecycle"),
        signed.section("owner", "GET", OWNER_MARKER),
        signed.section("put", "PUT", TRIAL, "", 'upload-file = "data"', max_s=SAMPLE_S),
        signed.section("get", "GET", TRIAL, max_s=SAMPLE_S),
        signed.section("uploads", "POST", TRIAL, "uploads", 'data = ""'),
        *(signed.section(f"{BUSY}{n}", "GET", query="list-type=2&max-keys=1") for n in range(BUSY_ASKED)),
    ]
    one = signed.asked(first, SAMPLE_MB)
    upload = re.search(r"<UploadId>([^<]+)</UploadId>", one.bodies.get("uploads", ""))
    last = [
        *([signed.section("abort", "DELETE", TRIAL, f"uploadId={upload[1]}")] if upload else []),
        signed.section("delete", "DELETE", TRIAL),
        signed.section("after", "GET", TRIAL),
    ]
    two = signed.asked(last) if one.status("list") else one
    return Outside(
        error="" if one.status("list") else one.error,
        status=one.status("list"),
        code=_code(one.bodies.get("list", "")),
        region=_header(one.heads.get("list", ""), "x-amz-bucket-region"),
        put=one.status("put"),
        get=one.status("get"),
        uploads=one.status("uploads"),
        delete=two.status("delete"),
        after=two.status("after"),
        put_mb_s=round(one.number("put", 1) / 1e6, 1),
        get_mb_s=round(one.number("get", 2) / 1e6, 1),
        latency_ms=round(
            1000 * min((one.number(name, 3) for name in one.told if name.startswith(BUSY)), default=0.0)
        ),
        busy=sum(one.status(name) in (429, 503) for name in one.told if name.startswith(BUSY)),
        versioned="<Status>Enabled" in one.bodies.get("versioning", "")
        or _header(one.after_100("put"), "x-amz-version-id") not in ("", "null"),
        expires=tuple(expiring(one.bodies.get("lifecycle", ""))) if one.status("lifecycle") == 200 else (),
        offset_s=_offset(one.heads.get("list", ""), one.at),
        owner=_owner(one.bodies.get("owner", "")) if one.status("owner") == 200 else "",
        owner_told=one.status("owner"),
    )


def ensure_owner(
    host: Host, store: ObjectStore, owner: str, extra_ca: Sequence[str], *, dry: bool
) -> tuple[str, ...]:
    """Mark the bucket as this member's; the name of what was (or would be) changed.

    Raises StepFailed where somebody else has marked it meanwhile, or it cannot be written to.
    """
    signed = _Signed(host, store, extra_ca)
    there = signed.asked([signed.section("owner", "GET", OWNER_MARKER)])
    if there.status("owner") not in (200, 404):  # nobody who does not answer says that it is nobody's
        raise StepFailed(
            f"{host.name}: whose the bucket {store.bucket} is cannot be read",
            cause=f"HTTP {there.status('owner')} {_code(there.bodies.get('owner', ''))} {there.error}".strip(),
            remedy=f"see that {OWNER_MARKER} can be read with the key, then: binderbox install {host.name}",
        )
    found = _owner(there.bodies.get("owner", "")) if there.status("owner") == 200 else ""
    if found == owner:
        return ()
    if found:
        raise StepFailed(
            f"{host.name}: the bucket {store.bucket} belongs to {found}, and this member is {owner}",
            cause="two registries on one bucket overwrite each other's pushes",
            remedy=f"give this member a bucket of its own, or remove {OWNER_MARKER} from the bucket if {found} is gone",
        )
    if not dry:
        text = json.dumps({"owner": owner}).replace('"', '\\"')
        put = signed.section(
            "owner", "PUT", OWNER_MARKER, "", f'data = "{text}"', 'header = "Content-Type: application/json"'
        )
        said = signed.asked([put])
        if said.status("owner") != 200:
            raise StepFailed(
                f"{host.name}: the bucket {store.bucket} could not be marked as this member's",
                cause=f"HTTP {said.status('owner')} {_code(said.bodies.get('owner', ''))} {said.error}".strip(),
                remedy=f"give the key the right to write there, then: binderbox install {host.name}",
            )
    return ("Mark the bucket as this member's",)


class _Answers:
    """+ at: the node's clock just before; told: name to curl's figures"""

    def __init__(self, text: str) -> None:
        parts = re.split(r"^== (\w+)\n", text, flags=re.M)
        first, *rest = parts[0].splitlines() or ["0"]
        self.at = float(first)
        rows = [line.split(" ") for line in rest if re.fullmatch(r"\w+ \d{3}( [\d.]+){3}", line)]
        self.told: Mapping[str, Sequence[str]] = {row[0]: row[1:] for row in rows}
        self.error = next((line for line in rest if line.startswith("curl: ")), "no answer")
        self.heads, self.bodies = dict[str, str](), dict[str, str]()
        for name, said in zip(parts[1::2], parts[2::2], strict=True):
            head, _, body = said.replace("\r", "").partition("\n\n")
            self.heads[name], self.bodies[name] = head, body

    def after_100(self, name: str) -> str:
        """The headers of what was sent; before them comes that it may be."""
        return f"{self.heads.get(name, '')}\n{self.bodies.get(name, '')}"

    def status(self, name: str) -> int:
        return int(self.told[name][0]) if name in self.told else 0

    def number(self, name: str, at: int) -> float:
        return float(self.told[name][at]) if name in self.told else 0.0


def _code(body: str) -> str:
    """S3's word for what is wrong; that an address is out of its time is said as a refusal, and is a clock's fault."""
    found = re.search(r"<Code>([^<]+)</Code>", body)
    if re.search(r"<Message>[^<]*(request has expired|not valid yet|not yet valid)", body, re.I):
        return "RequestTimeTooSkewed"
    return found[1] if found else ""


def _header(head: str, name: str) -> str:
    return next(
        (line.partition(":")[2].strip() for line in head.splitlines() if line.lower().startswith(f"{name}:")),
        "",
    )


def _offset(head: str, at: float) -> float | None:
    """Seconds that the node's clock is ahead of the store's."""
    said = _header(head, "date")
    try:
        return round(at - parsedate_to_datetime(said).replace(tzinfo=UTC).timestamp()) if said else None
    except ValueError:
        return None


def expiring(body: str) -> Iterator[str]:
    """The rules of a bucket's lifecycle that delete what the registry holds, in S3's words.

    minio's own reader refuses a rule whose filter is empty, which is S3's "all of it".
    """
    try:
        rules = ElementTree.fromstring(body.strip()).findall("{*}Rule")
    except ElementTree.ParseError:
        return
    for rule in rules:
        when = rule.findtext("{*}Expiration/{*}Days") or rule.findtext("{*}Expiration/{*}Date")
        prefix = next((one.text or "" for one in rule.iterfind(".//{*}Prefix")), "")
        concerned = prefix.startswith(layout.REGISTRY_ROOT) or layout.REGISTRY_ROOT.startswith(prefix)
        tagged = rule.find(".//{*}Tag") is not None  # the registry's objects have no tags
        if when and concerned and not tagged and rule.findtext("{*}Status") == "Enabled":
            name, far = rule.findtext("{*}ID") or "without a name", f"{when} days" if when.isdigit() else when
            yield f"{name}: after {far}"


def _owner(body: str) -> str:
    try:
        found: Any = json.loads(body)
        return str(found["owner"])
    except (ValueError, TypeError, KeyError):
        return f"somebody else: {body[:100]}"
