"""Repository providers: what a spec means, whether it may be launched, and which commit it is now."""

import asyncio
import re
import urllib.parse
from typing import Any as Anything

from traitlets import List, Set, Unicode
from traitlets.config import LoggingConfigurable

SHA1 = re.compile("[0-9a-f]{40}")


class RepoProvider(LoggingConfigurable):
    """+ banned_specs, allowed_specs, high_quota_specs: patterns that match from a spec's start, in any case.
    + spec_config: [{"pattern": ..., "config": {"quota": ...}}]
    """

    name = Unicode()
    spec = Unicode()
    allowed_specs = List(config=True)
    banned_specs = List(config=True)
    high_quota_specs = List(config=True)
    spec_config = List(config=True)
    git_credentials = Unicode("", config=True)
    unresolved_ref = Unicode()
    repo_url = Unicode()
    resolved_ref = Unicode(None, allow_none=True)

    def is_banned(self) -> bool:
        if self._matches(self.banned_specs):
            return True
        return bool(self.allowed_specs) and not self._matches(self.allowed_specs)

    def repo_config(self, settings: dict[str, Anything]) -> dict[str, Anything]:
        high = self._matches(self.high_quota_specs)
        config = {"quota": settings["per_repo_quota_higher" if high else "per_repo_quota"]}
        for item in self.spec_config:
            if re.match(item["pattern"], self.spec, re.IGNORECASE):
                config.update(item["config"])
        return config

    async def get_resolved_ref(self) -> str | None:
        """The commit, or None when there is no such ref. 40 digits are taken as they are: only the build finds out."""
        if self.resolved_ref is None:
            if SHA1.match(self.unresolved_ref):
                self.resolved_ref = self.unresolved_ref
            else:
                self.resolved_ref = await ls_remote(self.repo_url, self.unresolved_ref)
        return self.resolved_ref

    def _matches(self, patterns: list[str]) -> bool:
        return any(re.match(pattern, self.spec, re.IGNORECASE) for pattern in patterns)


class GitRepoProvider(RepoProvider):
    """Spec: a quoted URL, a slash, a ref."""

    name = Unicode("Git")
    allowed_protocols = Set(Unicode(), default_value={"http", "https", "git", "ssh"}, config=True)

    def __init__(self, **kwargs: Anything) -> None:
        super().__init__(**kwargs)
        self.escaped_url, ref = self.spec.split("/", 1)
        self.repo_url = urllib.parse.unquote(self.escaped_url)
        protocol = urllib.parse.urlparse(self.repo_url).scheme
        if protocol not in self.allowed_protocols:
            allowed = ", ".join(sorted(self.allowed_protocols))
            raise ValueError(f"Unsupported git url {self.repo_url}, protocol {protocol} not in {allowed}")
        self.unresolved_ref = urllib.parse.unquote(ref)
        if not self.unresolved_ref:
            raise ValueError("`unresolved_ref` must be specified in the url for the basic git provider")

    def get_repo_url(self) -> str:
        return self.repo_url

    def get_build_slug(self) -> str:
        return self.repo_url

    async def get_resolved_ref_url(self) -> str:
        return self.repo_url

    async def get_resolved_spec(self) -> str:
        return f"{self.escaped_url}/{await self.get_resolved_ref()}"


class GitHubRepoProvider(RepoProvider):
    """Spec: user/repo/ref. The real one asks GitHub's API, with these credentials; the double asks git."""

    name = Unicode("GitHub")
    hostname = Unicode("github.com", config=True)
    client_id = Unicode(config=True)
    client_secret = Unicode(config=True)
    access_token = Unicode(config=True)

    def __init__(self, **kwargs: Anything) -> None:
        super().__init__(**kwargs)
        parts = self.spec.split("/", 2)
        if len(parts) != 3:
            raise ValueError(f'Spec is not of the form "user/repo/ref", provided: "{self.spec}".')
        self.user, self.repo, self.unresolved_ref = parts[0], parts[1].removesuffix(".git"), parts[2]
        self.repo_url = f"https://{self.hostname}/{self.user}/{self.repo}"

    def get_repo_url(self) -> str:
        return self.repo_url

    def get_build_slug(self) -> str:
        return f"{self.user}-{self.repo}"

    async def get_resolved_ref_url(self) -> str:
        return f"{self.repo_url}/tree/{await self.get_resolved_ref()}"

    async def get_resolved_spec(self) -> str:
        return f"{self.user}/{self.repo}/{await self.get_resolved_ref()}"


async def ls_remote(url: str, ref: str) -> str | None:
    process = await asyncio.create_subprocess_exec(
        *("git", "ls-remote", "--", url, ref), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"Unable to run git ls-remote to get the `resolved_ref`: {err.decode()}")
    return out.decode().split(None, 1)[0] if out else None
