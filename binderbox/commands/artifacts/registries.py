"""What a registry says an image is: with a token for anonymous pulls where it wants one."""

from __future__ import annotations

import json
import re
from urllib.parse import urlencode, urlsplit

from binderbox.artifacts.statements import MANIFEST_MB, MANIFEST_TYPES, Unstated, of_manifest
from binderbox.errors import NoAnswer, without_query
from binderbox.output.requests import Ask, Said

DOCKER_HUB = "registry-1.docker.io"  # where images named docker.io are
TOKEN_MB = 0.1
_WORD = re.compile(r'(\w+)="([^"]*)"')


def manifest_url(source: str) -> str:
    """`docker.io/library/registry:3` -> the address of its manifest."""
    host, _, rest = source.partition("/")
    name, _, tag = rest.rpartition(":")
    return f"https://{DOCKER_HUB if host == 'docker.io' else host}/v2/{name}/manifests/{tag}"


def digest_of(ask: Ask, url: str) -> str:
    """The sha256 of the manifest at an address; raises NoAnswer, and Unstated where the answer is no manifest."""
    accept = {"Accept": ", ".join(MANIFEST_TYPES)}
    said = ask(url, accept, MANIFEST_MB)
    if said.status == 401:
        said = ask(url, {**accept, "Authorization": f"Bearer {_token(ask, said)}"}, MANIFEST_MB)
    if said.status != 200:
        raise Unstated(f"expected a manifest, found HTTP {said.status}")
    return of_manifest(said.body, said.headers.get("docker-content-digest"))


def _token(ask: Ask, refused: Said) -> str:
    scheme, _, rest = refused.headers.get("www-authenticate", "").partition(" ")
    words = dict(_WORD.findall(rest))
    realm = words.pop("realm", "")
    if scheme.lower() != "bearer" or urlsplit(realm).scheme != "https":
        raise Unstated(f"expected a token to be offered over https, found {scheme} {without_query(realm)!r}")
    said = ask(f"{realm}?{urlencode(words)}", {}, TOKEN_MB)
    try:
        answer = json.loads(said.body)
        token = answer.get("token") or answer.get("access_token")
    except (ValueError, AttributeError) as error:
        raise NoAnswer(f"{without_query(realm)}: HTTP {said.status}, and no token") from error
    if said.status != 200 or not isinstance(token, str):
        raise NoAnswer(f"{without_query(realm)}: HTTP {said.status}, and no token")
    return token
