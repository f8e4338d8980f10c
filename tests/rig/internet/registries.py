"""docker.io and quay.io: each a real registry that wants a token, behind the names under which it is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import parse_qs

from tests.rig.internet import stores
from tests.rig.internet.distribution import Distribution
from tests.rig.internet.replies import Asked, Held, Piped, Reply, Role, content, text
from tests.rig.internet.tokens import Tokens

DOCKER, DOCKER_AUTH, DOCKER_BLOBS = (
    "registry-1.docker.io",
    "auth.docker.io",
    "production.cloudflare.docker.com",
)
QUAY = "quay.io"
PASSED = ("Accept", "Authorization", "If-None-Match", "If-Range", "Range", "User-Agent")
# those that the front writes itself, or that are about one connection
OWN = ("connection", "content-length", "date", "server", "transfer-encoding")
SIGNED = "expires=4102444800&signature=rig"


@dataclass(frozen=True)
class Place:
    """A registry's own names: where it is asked, where a token is had, and who hands out its blobs, if another."""

    host: str
    auth: str
    service: str
    blobs: str = ""


# as their 401 says; docker.io hands out its blobs elsewhere, and here quay.io does it itself, so both are met
PLACES = {
    "docker.io": Place(DOCKER, f"https://{DOCKER_AUTH}/token", "registry.docker.io", DOCKER_BLOBS),
    "quay.io": Place(QUAY, f"https://{QUAY}/v2/auth", QUAY),
}


class Registry:
    """From `start` to `close`; `images` are REPOSITORY:TAG and the archive of each."""

    def __init__(self, place: Place, images: dict[str, Path], directory: Path, tokens: Tokens) -> None:
        self._place, self._tokens = place, tokens
        storage = directory / "storage"
        names: dict[Path, list[str]] = {}
        for name, archive in images.items():
            names.setdefault(archive, []).append(name)
        stores.join((stores.stored(archive, known) for archive, known in names.items()), storage)
        blobs = f"https://{place.blobs}/registry-v2" if place.blobs else ""
        auth = tokens.setting(place.auth, place.service)
        self._real = Distribution(storage, directory, auth=auth, blobs_at=blobs)
        self._repositories = {name.partition(":")[0] for name in images}

    def start(self) -> None:
        self._real.start()

    def close(self) -> None:
        self._real.close()

    @property
    def roles(self) -> dict[str, Role]:
        auth_host, _, auth_path = self._place.auth.removeprefix("https://").partition("/")
        roles: dict[str, Role] = {self._place.host: self._ask, auth_host: self._token}
        if auth_host == self._place.host:
            roles[auth_host] = _either(f"/{auth_path}", self._token, self._ask)
        if self._place.blobs:
            roles[self._place.blobs] = self._blob
        return roles

    def without_token(self, asked: Asked, repository: str, what: str) -> Reply:
        """For a mirror, which has a token of its own and fetches blobs wherever they are."""
        if "/blobs/" in asked.path:
            file = stores.blob_file(self._real.storage, what.partition(":")[2])
            return content(asked, file) if file.is_file() else text(404, "no such blob\n")
        scope = f"repository:{repository}:pull"
        token = self._tokens.pull(self._place.service, [scope], self._repositories.__contains__)["token"]
        headers = {
            "Accept": ", ".join(asked.headers.get_all("Accept", [])),
            "Authorization": f"Bearer {token}",
        }
        about = {"Host": self._place.host, "X-Forwarded-Proto": "https"}
        answer = self._real.ask(asked.method, asked.path, headers=headers | about)
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in OWN}
        return Reply(answer.status, kept, _body(answer))

    def _token(self, asked: Asked) -> Reply:
        if asked.method != "GET":
            return text(405, "method not allowed\n")
        query = parse_qs(asked.query)
        scopes = [scope for given in query.get("scope", []) for scope in given.split()]
        answer = self._tokens.pull(self._place.service, scopes, self._repositories.__contains__)
        return Reply(200, {"Content-Type": "application/json"}, Held(json.dumps(answer).encode()))

    def _ask(self, asked: Asked) -> Reply:
        headers = {name: ", ".join(asked.headers.get_all(name, [])) for name in PASSED}
        headers = {name: value for name, value in headers.items() if value}
        headers |= {"Host": asked.host, "X-Forwarded-Proto": "https"}
        answer = self._real.ask(asked.method, asked.target, headers=headers)
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in OWN}
        if self._place.blobs and answer.status == 307:
            kept["Location"] += f"?{SIGNED}"
        return Reply(answer.status, kept, _body(answer))

    def _blob(self, asked: Asked) -> Reply:
        """As a CDN does it: who has the link may have the blob, and a token for the registry is none of its business."""
        file = stores.blob_file(self._real.storage, asked.path.split("/")[-2])
        if asked.query != SIGNED:
            return text(403, "the link is not signed\n")
        return content(asked, file) if file.is_file() else text(404, "no such blob\n")


def _body(answer: HTTPResponse) -> Piped | Held:
    length = answer.headers["Content-Length"]
    return Piped(answer, int(length)) if length is not None else Held(answer.read())


def _either(path: str, this: Role, other: Role) -> Callable[[Asked], Reply]:
    return lambda asked: this(asked) if asked.path == path else other(asked)
