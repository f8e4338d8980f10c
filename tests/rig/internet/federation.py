"""A federation under names of the Internet: its prime, its deployment repository and its charts by https, its images on quay.io.

with Federation(directory) as federation, World(address, elsewhere, federation.roles) as internet:
    internet.mirror.others |= federation.images
"""

from __future__ import annotations

import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from tests.federation.deployment import Deployment
from tests.rig.internet.replies import Asked, Held, Reply, Role, text

PRIME, REPOSITORY, CHARTS = "prime.internet.test", "deploy.internet.test", "charts.internet.test"  # RFC 6761
REGISTRY, OWNER = "quay.io", "followed"


class Federation(Deployment):
    """Its servers are at the loopback; who has its roles asks them."""

    def __init__(self, directory: Path) -> None:
        super().__init__("127.0.0.1", directory)

    @property
    def registry(self) -> str:
        return f"{REGISTRY}/{OWNER}"

    @property
    def places(self) -> dict[str, str]:
        return {
            "federation": f"https://{PRIME}",
            "deploy_repo": f"https://{REPOSITORY}/deploy",
            "chart_index": f"https://{CHARTS}/charts",
            "guard_index": f"https://{CHARTS}/charts",
        }

    @property
    def roles(self) -> dict[str, Role]:
        return {
            PRIME: _passed_on(self.prime.url),
            CHARTS: _passed_on(self.store.url),
            REPOSITORY: self._git_asked,
        }

    @property
    def images(self) -> dict[tuple[str, str], Role]:
        """For a mirror."""
        return {(REGISTRY, OWNER): _passed_on(self.store.url)}

    def _git_asked(self, asked: Asked) -> Reply:
        """By git's own program for web servers."""
        about = {
            "GIT_PROJECT_ROOT": str(self.work.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": asked.path,
            "QUERY_STRING": asked.query,
            "REQUEST_METHOD": asked.method,
            "CONTENT_TYPE": asked.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": asked.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": asked.headers.get("Git-Protocol", ""),
        }
        words = ["git", "-c", "safe.directory=*", "http-backend"]
        done = subprocess.run(
            words, env=os.environ | about, input=asked.body, capture_output=True, check=True
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(headers.pop("Status", "200 OK").split()[0])
        return Reply(status, headers, Held(body))


def _passed_on(url: str) -> Role:
    """What a server of ours answers; the front leaves a body out where a HEAD asked."""

    def ask(asked: Asked) -> Reply:
        try:
            with urllib.request.urlopen(f"{url}{asked.path}", timeout=60) as answer:
                kept = {
                    name: value
                    for name, value in answer.headers.items()
                    if name in ("Content-Type", "Docker-Content-Digest")
                }
                return Reply(answer.status, kept, Held(answer.read()))
        except urllib.error.HTTPError as refused:
            return text(refused.code, refused.reason)

    return ask
