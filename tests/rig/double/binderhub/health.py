"""`/health`: the registry and the hub count, the pod quota does not. The order of the checks is part of the contract."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any as Anything

from tornado.httpclient import AsyncHTTPClient
from tornado.log import app_log

from binderhub.base import BaseHandler
from binderhub.names import without_registry
from binderhub.quota import BUILD_PODS, USER_PODS

Check = Callable[..., Awaitable[Anything]]


def tried(check: Check) -> Check:
    """False if the check raises. The budget of three tries, 1 s apart, is spent once per process, as in the real one."""
    left = 3

    @functools.wraps(check)
    async def wrapper(*args: Anything) -> bool:
        nonlocal left
        while True:
            try:
                return await check(*args)
            except Exception:
                app_log.exception("Error checking %s", check.__name__)
                if left <= 1:
                    return False
                left -= 1
                await asyncio.sleep(1)

    return wrapper


def at_most_every(seconds: float) -> Callable[[Check], Check]:
    """Keep the result for a while; concurrent callers share one run."""

    def keep(check: Check) -> Check:
        running: asyncio.Future[Anything] | None = None
        ended = 0.0

        @functools.wraps(check)
        async def wrapper(*args: Anything) -> Anything:
            nonlocal running, ended
            if running is None or (
                running.done() and (time.monotonic() > ended + seconds or running.exception())
            ):
                running = asyncio.ensure_future(check(*args))
                await asyncio.wait([running])
                ended = time.monotonic()
            return await running

        return wrapper

    return keep


class HealthHandler(BaseHandler):
    @staticmethod
    @at_most_every(15)
    @tried
    async def check_docker_registry(registry: Anything, image_prefix: str) -> bool:
        await registry.get_image_manifest(*without_registry(f"{image_prefix}some-image-name:12345"))
        return True  # found or not: it answered

    @staticmethod
    @at_most_every(15)
    @tried
    async def check_jupyterhub_api(hub_url: str) -> bool:
        await AsyncHTTPClient().fetch(f"{hub_url}hub/api/health", request_timeout=3)
        return True

    @staticmethod
    @at_most_every(60)
    async def count_pods(quota: Anything) -> tuple[int, int]:
        users, builds = await asyncio.gather(quota.pods(USER_PODS), quota.pods(BUILD_PODS))
        return len(users), len(builds)

    async def get(self) -> None:
        checks: dict[str, Awaitable[Anything]] = {}
        if self.settings["use_registry"]:
            checks["Docker registry"] = self.check_docker_registry(
                self.settings["registry"], self.settings["image_prefix"]
            )
        checks["JupyterHub API"] = self.check_jupyterhub_api(self.settings["launcher"].hub_url_local)
        checks["Pod quota"] = self._check_quota()
        results = [
            {"service": service, **(result if isinstance(result, dict) else {"ok": result})}
            for service, result in zip(checks, await asyncio.gather(*checks.values()), strict=True)
        ]
        ok = all(r["ok"] for r in results if not r.get("_ignore_failure"))
        if not ok:
            self.set_status(503)
        self.write({"ok": ok, "checks": results})

    head = get

    async def _check_quota(self) -> dict[str, Anything]:
        users, builds = await self.count_pods(self.settings["launch_quota"])
        quota = self.settings["launch_quota"].total_quota
        total = users + builds
        return {
            "total_pods": total,
            "build_pods": builds,
            "user_pods": users,
            "quota": quota,
            "ok": quota is None or total <= quota,
            "_ignore_failure": True,
        }
