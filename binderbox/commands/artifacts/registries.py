"""What a registry says an image is: with a token for anonymous pulls where it wants one."""

from __future__ import annotations

import json
import re
from urllib.parse import urlencode

from binderbox.artifacts.statements import MANIFEST_MB, MANIFEST_TYPES, Unstated, of_manifest
from binderbox.errors import without_query
from binderbox.output.requests import Ask, Said

DOCKER_HUB = "registry-1.docker.io"  # where images named docker.io are
TOKEN_MB = 0.1
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750; it is sent on in a header
_WORD = re.compile(r'(\w+)="([^"]*)"')


def manifest_url(source: str, sha256: str = "") -> str:
    """`docker.io/library/registry:3` -> the address of its manifest, of the one with this sum where one is given."""
    return f"{_repository(source)}/manifests/{f'sha256:{sha256}' if sha256 else source.rpartition(':')[2]}"


def blob_url(source: str, sha256: str) -> str:
    """The address of one blob; what answers there may send on to another host, which has no business with a token."""
    return f"{_repository(source)}/blobs/sha256:{sha256}"


def _repository(source: str) -> str:
    host, _, rest = source.partition("/")
    return f"https://{DOCKER_HUB if host == 'docker.io' else host}/v2/{rest.rpartition(':')[0]}"


def digest_of(ask: Ask, url: str) -> str:
    """The sha256 of the manifest at an address; raises NoAnswer, and Unstated where the answer is no manifest."""
    said, _ = manifest_at(ask, url)
    return of_manifest(said.body, said.headers.get("docker-content-digest"))


def manifest_at(ask: Ask, url: str) -> tuple[Said, str]:
    """(the answer with the manifest, the token with which it was had, which also opens the repository's blobs).

    The token is empty where none was wanted. Raises NoAnswer and Unstated.
    """
    token, accept = "", {"Accept": ", ".join(MANIFEST_TYPES)}
    said = ask(url, accept, MANIFEST_MB)
    if said.status == 401:
        token = _token(ask, said)
        said = ask(url, {**accept, "Authorization": f"Bearer {token}"}, MANIFEST_MB)
    if said.status != 200:
        raise Unstated(f"expected a manifest, found HTTP {said.status}")
    return said, token


def token_for(ask: Ask, url: str) -> str:
    """A token that opens an address, such as a blob's; empty where none is wanted. Raises NoAnswer and Unstated.

    Nothing is read for it: an address without a token is refused, and that tells where one is to be had.
    """
    said = ask(url, {}, MANIFEST_MB)
    return _token(ask, said) if said.status == 401 else ""


def _token(ask: Ask, refused: Said) -> str:
    scheme, _, rest = refused.headers.get("www-authenticate", "").partition(" ")
    words = dict(_WORD.findall(rest))
    realm = words.pop("realm", "")
    if scheme.lower() != "bearer" or not realm.startswith("https://"):
        raise Unstated(f"expected a token to be offered over https, found {scheme} {without_query(realm)!r}")
    said = ask(f"{realm}{'&' if '?' in realm else '?'}{urlencode(words)}", {}, TOKEN_MB)
    try:
        answer = json.loads(said.body)
        token = answer.get("token") or answer.get("access_token")
    except (ValueError, AttributeError, RecursionError):
        token = None
    if said.status != 200 or not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise Unstated(f"expected a token from {without_query(realm)}, found HTTP {said.status} without one")
    return token
