"""How many user servers may run, in all and of one repository; counted by the pods' labels, in every phase."""

import asyncio
import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any as Anything

from traitlets import Any, Integer, Unicode, default
from traitlets.config import LoggingConfigurable

from binderhub.watching import REQUEST_TIMEOUT_S, load_kubernetes

USER_PODS = "app=jupyterhub,component=singleuser-server"
BUILD_PODS = "component=binderhub-build"


class LaunchQuotaExceeded(Exception):
    pass


class LaunchQuota(LoggingConfigurable):
    """+ total_quota: None for no quota, 0 for a closed hub."""

    total_quota = Integer(None, allow_none=True, config=True)
    namespace = Unicode(config=True)
    api = Any()
    executor = Any()

    @default("namespace")
    def _namespace(self) -> str:
        return os.environ.get("BUILD_NAMESPACE", "default")

    @default("api")
    def _api(self) -> Anything:
        return load_kubernetes()

    @default("executor")
    def _executor(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(2)

    async def pods(self, selector: str) -> list[dict[str, Anything]]:
        future = self.executor.submit(
            self.api.list_namespaced_pod,
            self.namespace,
            label_selector=selector,
            _preload_content=False,
            _request_timeout=REQUEST_TIMEOUT_S,
        )
        return json.loads((await asyncio.wrap_future(future)).read())["items"]

    async def check(self, image: str, repo_quota: int | None, repo_url: str) -> None:
        """Raise LaunchQuotaExceeded with the sentence for the user."""
        if self.total_quota is not None or repo_quota:
            judge(await self.pods(USER_PODS), image, self.total_quota, repo_quota, repo_url)


def judge(
    pods: list[dict[str, Anything]], image: str, total: int | None, repo_quota: int | None, repo_url: str
) -> None:
    if total is not None and len(pods) >= total:
        raise LaunchQuotaExceeded("Too many users on this BinderHub! Try again soon.")
    name = image.rsplit(":", 1)[0]
    same = sum(any(c["image"].rsplit(":", 1)[0] == name for c in p["spec"]["containers"]) for p in pods)
    if repo_quota and same >= repo_quota:
        raise LaunchQuotaExceeded(f"Too many users running {repo_url}! Try again soon.")
