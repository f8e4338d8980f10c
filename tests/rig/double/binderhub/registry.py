"""Asks the image registry whether an image is there."""

import base64
import json
from pathlib import Path
from typing import Any as Anything

from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from traitlets import Dict, Unicode, default
from traitlets.config import LoggingConfigurable

# An index, which is what an attested image is, is no answer to this: such an image is never found.
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class DockerRegistry(LoggingConfigurable):
    """Address and credential come from the first entry of docker's config.json, scheme included."""

    docker_config_path = Unicode(str(Path.home() / ".docker" / "config.json"), config=True)
    url = Unicode(config=True)
    username = Unicode(config=True)
    password = Unicode(config=True)
    _auths = Dict()

    @default("_auths")
    def _read_auths(self) -> dict[str, Anything]:
        path = Path(self.docker_config_path)
        if not path.exists():
            self.log.warning("No docker config at %s", path)
            return {}
        return json.loads(path.read_text()).get("auths", {})

    @default("url")
    def _url(self) -> str:
        key = next(iter(self._auths), "https://registry-1.docker.io")
        return key if "://" in key else f"https://{key}"

    @default("username")
    def _username(self) -> str:
        return self._login()[0]

    @default("password")
    def _password(self) -> str:
        return self._login()[2]

    async def get_image_manifest(self, image: str, tag: str) -> dict[str, Anything] | None:
        """The manifest; None for 404; anything else raises."""
        try:
            response = await AsyncHTTPClient().fetch(
                f"{self.url}/v2/{image}/manifests/{tag}",
                headers={"Accept": MANIFEST},
                auth_username=self.username,
                auth_password=self.password,
            )
        except HTTPClientError as error:
            if error.code == 404:
                return None
            raise
        return json.loads(response.body)

    async def get_credentials(self, image: str, tag: str) -> dict[str, str] | None:
        return None

    def _login(self) -> tuple[str, str, str]:
        host = self.url.partition("://")[2]
        entry = self._auths.get(self.url) or self._auths.get(host) or {}
        if "auth" not in entry:
            self.log.warning("No username for docker registry at %s", self.url)
        return base64.b64decode(entry.get("auth", "")).decode().partition(":")
