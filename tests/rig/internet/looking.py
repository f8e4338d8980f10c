"""Who looks at an Internet of the rig from this machine, whose own resolver knows none of its names."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import httpx

from tests.federation.serving import Asker
from tests.rig.internet.world import World
from tests.rig.ociarchive import MANIFEST


class Looker:
    """By httpx as Python programs look, and by curl as nodes do."""

    def __init__(self, internet: World, address: str, directory: Path) -> None:
        self.address, self._ca = address, directory / "ca.pem"
        self._ca.write_text(internet.ca_pem)
        self._asker = Asker(ca_pem=internet.ca_pem, addresses=internet.names.addresses)

    def get(self, url: str, **headers: str) -> httpx.Response:
        """One GET with all redirects."""
        return self._asker.get(url, 60, headers)

    def once(self, url: str, **headers: str) -> httpx.Response:
        """One GET and no more."""
        wanted = httpx.URL(url)
        there = wanted.copy_with(host=self.address)
        headers = {"Host": wanted.host, **headers}
        return self._asker.client.get(there, headers=headers, extensions={"sni_hostname": wanted.host})

    def curl(self, url: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        ports = [word for port in (80, 443) for word in ("--resolve", f"*:{port}:{self.address}")]
        command = ["curl", "-sSL", "--cacert", str(self._ca), *ports, *words, "--", url]
        return subprocess.run(command, capture_output=True, timeout=120)

    def token(self, registry: str, repository: str) -> str:
        """As the registry's 401 says where to have one."""
        refused = self.once(f"https://{registry}/v2/{repository}/manifests/none")
        assert refused.status_code == 401, refused.text
        said = refused.headers["WWW-Authenticate"].removeprefix("Bearer ")
        words = dict(word.split("=", 1) for word in said.replace('"', "").split(","))
        query = f"service={words['service']}&scope={words['scope']}"
        return str(self.get(f"{words['realm']}?{query}").json()["token"])

    def pull(self, registry: str, repository: str, reference: str) -> tuple[str, dict[str, Any]]:
        """A whole image: the digest of its manifest, and the manifest; every blob is held against its digest."""
        bearer = {"Authorization": f"Bearer {self.token(registry, repository)}"}
        base = f"https://{registry}/v2/{repository}"
        given = self.once(f"{base}/manifests/{reference}", Accept=MANIFEST, **bearer)
        assert given.status_code == 200, given.text
        digest = hashlib.sha256(given.content).hexdigest()
        assert given.headers["Docker-Content-Digest"] == f"sha256:{digest}"
        manifest = json.loads(given.content)
        for part in (manifest["config"], *manifest["layers"]):
            answer = self.once(f"{base}/blobs/{part['digest']}", **bearer)
            if answer.has_redirect_location:
                answer = self.once(answer.headers["Location"])
            assert len(answer.content) == part["size"]
            assert f"sha256:{hashlib.sha256(answer.content).hexdigest()}" == part["digest"]
        return digest, manifest
