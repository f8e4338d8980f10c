"""The registry's bucket from the node: listed, read and deleted from, by the registry's own key.

S3's signature is two hashes and four HMACs, and no distribution's Python brings them; signed is what AWS's documentation
("Signature Version 4 signing process") says, and the tests ask a real server.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from binderbox import layout
from binderbox.parts.registry.tree import Found

TIMEOUT_S = 60
TRIES, AGAIN_S = 4, 2.0  # a store that has just started, or is busy, answers 503
PAGE = 1000  # S3's own most, of a listing and of a deletion


class StoreFailed(Exception):
    """The store gave another answer than was needed; the text says which."""


class Bucket:
    """+ endpoint: its address, plain HTTP inside the node; over TLS whom the host trusts is trusted
    + access, secret: the key; path_style: whether the bucket is a part of the path, or of the name
    """

    def __init__(
        self,
        endpoint: str,
        bucket: str,
        access: str,
        secret: str,
        region: str = "us-east-1",
        path_style: bool = True,
    ) -> None:
        parts = urlsplit(endpoint)
        self._tls = parts.scheme == "https"
        self._address = parts.netloc if path_style else f"{bucket}.{parts.netloc}"
        self._root = f"/{bucket}" if path_style else ""
        self._name, self._region = bucket, region
        self._access, self._secret = access, secret
        self._connection: http.client.HTTPConnection | None = None

    def all(self, prefix: str = layout.REGISTRY_ROOT) -> Iterator[Found]:
        """Every object below a prefix, a page at a time."""
        more: dict[str, str] = {}
        while True:
            query = {"list-type": "2", "max-keys": str(PAGE), "prefix": prefix, **more}
            page = ElementTree.fromstring(self._asked("GET", "", query))
            space = page.tag.partition("}")[0] + "}" if page.tag.startswith("{") else ""
            for one in page.iter(f"{space}Contents"):
                text = {child.tag.removeprefix(space): child.text or "" for child in one}
                changed = _seconds(text["LastModified"])
                yield Found(text["Key"], int(text["Size"]), changed, text.get("ETag", ""))
            token = page.findtext(f"{space}NextContinuationToken")
            if not token:
                return
            more = {"continuation-token": token}

    def get(self, key: str) -> bytes:
        return self._asked("GET", key)

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; one that is gone already is none to complain of. Raises StoreFailed with what was refused."""
        for start in range(0, len(keys), PAGE):
            rows = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys[start : start + PAGE])
            body = f"<Delete><Quiet>true</Quiet>{rows}</Delete>".encode()
            said = ElementTree.fromstring(self._asked("POST", "", {"delete": ""}, body))
            refused = [
                f"{one.findtext('{*}Key')}: {one.findtext('{*}Code')}"
                for one in said.iter()
                if one.tag.endswith("Error")
            ]
            if refused:
                raise StoreFailed(f"{len(refused)} objects were not deleted: {', '.join(refused[:3])}")

    def abort_uploads(self, before_s: float) -> int:
        """Let go of what was begun to be uploaded in parts before then, and not ended; how many that were, of the first page."""
        page = ElementTree.fromstring(self._asked("GET", "", {"uploads": ""}))
        old = [
            (one.findtext("{*}Key") or "", one.findtext("{*}UploadId") or "")
            for one in page.findall("{*}Upload")
            if _seconds(one.findtext("{*}Initiated") or "") < before_s
        ]
        for key, upload in old:
            if key.startswith(layout.REGISTRY_ROOT):
                self._asked("DELETE", key, {"uploadId": upload})
        return len(old)

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _asked(
        self, method: str, key: str, query: Mapping[str, str] | None = None, body: bytes = b""
    ) -> bytes:
        told = ""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(AGAIN_S * attempt)
            try:
                status, answer = self._once(method, key, query or {}, body)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                told = str(error) or repr(error)
                continue
            if status in (200, 204):
                return answer
            told = f"HTTP {status}: {answer[:300].decode(errors='replace')}"
            if status < 500 and status != 429:
                break
        raise StoreFailed(f"the object store: {method} /{self._name}/{key}: {told}")

    def _once(self, method: str, key: str, query: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        path = quote(f"{self._root}/{key}" if key else self._root or "/", safe="/-_.~")
        asked = urlencode(sorted(query.items()), quote_via=quote, safe="-_.~")
        headers = self._signed(method, path, asked, body)
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._tls else http.client.HTTPConnection
            self._connection = kind(self._address, timeout=TIMEOUT_S)
        self._connection.request(method, f"{path}?{asked}" if asked else path, body or None, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def _signed(self, method: str, path: str, query: str, body: bytes) -> dict[str, str]:
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        scope = f"{now[:8]}/{self._region}/s3/aws4_request"
        headers = {
            "host": self._address,
            "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
            "x-amz-date": now,
        }
        if body:
            headers["content-md5"] = base64.b64encode(
                hashlib.md5(body, usedforsecurity=False).digest()
            ).decode()
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        request = "\n".join([method, path, query, lines, names, headers["x-amz-content-sha256"]])
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(request.encode()).hexdigest()])
        key = f"AWS4{self._secret}".encode()
        for part in (*scope.split("/"), text):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._access}/{scope},SignedHeaders={names},Signature={key.hex()}"
        )
        return headers


def _seconds(at: str) -> float:
    """Of a time as S3 writes it, since 1970."""
    return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
