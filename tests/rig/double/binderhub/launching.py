"""The second half of a build request: quota, the hub's tries, and the server's address."""

import asyncio
from typing import Any as Anything

from tornado.log import app_log

from binderhub.launcher import unique_name
from binderhub.metrics import launches
from binderhub.quota import LaunchQuotaExceeded
from binderhub.stream import EventStreamHandler


class LaunchHandler(EventStreamHandler):
    """+ prefix, spec, ref, image: what the request turned out to ask for."""

    prefix = spec = ref = image = ""

    async def within_quota(self, provider: Anything) -> bool:
        config = provider.repo_config(self.settings)
        try:
            await self.settings["launch_quota"].check(
                self.image, config.get("quota"), provider.get_repo_url()
            )
        except LaunchQuotaExceeded as error:
            await self.fail(str(error))
            return False
        return True

    async def launch(self, provider: Anything) -> None:
        if not await self.within_quota(provider):
            return
        await self.emit({"phase": "launching", "message": "Launching server...\n"})
        base_url = self.settings["base_url"]
        persistent = f"v2/{self.prefix}/{await provider.get_resolved_spec()}"
        extra = {
            "binder_ref_url": await provider.get_resolved_ref_url(),
            "binder_launch_host": self.settings["badge_base_url"]
            or f"{self.request.protocol}://{self.request.host}{base_url}",
            "binder_request": f"v2/{self.prefix}/{self.spec}",
            "binder_persistent_request": persistent,
            "binder_client_ip": self.request.remote_ip,
        }

        async def tell(event: dict[str, Anything]) -> None:
            await self.emit({"phase": "launching", "message": f"{event['message']}\n"})

        launcher = self.settings["launcher"]
        for attempt in range(1, launcher.retries + 1):
            try:
                server = await launcher.launch(
                    self.image, unique_name(provider.get_repo_url()), provider.get_repo_url(), extra, tell
                )
                launches["success", attempt - 1] += 1
                break
            except Exception as error:
                launches["failure" if attempt == launcher.retries else "retry", -1] += 1
                if attempt == launcher.retries:
                    raise
                app_log.error("Retrying launch of %s after error: %r", provider.get_repo_url(), error)
            await self.emit(
                {"phase": "launching", "message": f"Launch attempt {attempt} failed, retrying...\n"}
            )
            await asyncio.sleep(launcher.retry_delay * 2 ** (attempt - 1))
        await self.emit({"phase": "ready", "message": f"server running at {server['url']}\n", **server})
        self._log_launch(provider)

    def _log_launch(self, provider: Anything) -> None:
        headers = self.request.headers
        event = {
            "provider": provider.name,
            "spec": self.spec,
            "ref": self.ref,
            "status": "success",
            "build_token": self.have_build_token,
            "origin": self.settings["normalized_origin"] or self.request.host,
            "request_origin": headers.get("Origin", headers.get("Sec-Fetch-Site", "")),
        }
        self.settings["event_log"].emit("binderhub.jupyter.org/launch", 6, event)
