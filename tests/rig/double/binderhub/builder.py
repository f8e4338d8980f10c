"""`/build/<provider>/<spec>`: from a link to a running server, told as it goes."""

import asyncio
import json
from typing import Any as Anything

from tornado.httpclient import HTTPClientError
from tornado.log import app_log
from tornado.queues import Queue
from tornado.web import HTTPError

from binderhub.launching import LaunchHandler
from binderhub.names import build_name, image_name, without_registry
from binderhub.progress import BuildStatus, Kind

STAYS_OPEN_S = 60  # a browser reconnects when the server closes first, and would start a new build


class BuildHandler(LaunchHandler):
    build: Anything = None

    async def get(self, prefix: str, _unquoted: str) -> None:
        start = f"/build/{prefix}/"
        spec = self.request.path[self.request.path.index(start) + len(start) :]  # as it came, still quoted
        self.check_build_token(self.get_argument("build_token", None), f"{prefix}/{spec}")
        self.check_rate_limit()
        if prefix not in self.settings["repo_providers"]:
            await self.fail(f"No provider found for prefix {prefix}")
            return
        self._alive = asyncio.create_task(self.keep_alive())
        provider = await self._provider(prefix, spec.rstrip("/"))
        if provider is None:
            return
        self.image = image_name(self.settings["image_prefix"], provider.get_build_slug(), self.ref)
        found = await self.image_exists()
        build_only = self.build_only()
        if found and build_only:
            await self.emit(
                {"phase": "ready", "imageName": self.image, "message": "Done! Found built image\n"}
            )
        elif found:
            message = "Found built image, launching...\n"
            await self.emit({"phase": "built", "imageName": self.image, "message": message})
            await self.launch(provider)
        elif (
            await self.within_quota(provider)
            and await self.build_image(provider, build_only)
            and not build_only
        ):
            await self.launch(provider)
            await asyncio.sleep(STAYS_OPEN_S)

    async def _provider(self, prefix: str, spec: str) -> Anything:
        """The provider with its commit known, or None after telling why not."""
        key = f"{prefix}:{spec}"
        try:
            provider = self.settings["repo_providers"][prefix](config=self.settings["config"], spec=spec)
        except Exception as error:
            app_log.exception("Failed to get provider for %s", key)
            await self.fail(str(error))
            return None
        if provider.is_banned():
            message = f"Sorry, {spec} is not allowed to launch. Please contact admins for more info!"
            await self.emit({"phase": "failed", "message": message})  # no newline, unlike every other
            return None
        try:
            ref = await provider.get_resolved_ref()
        except Exception as error:
            await self.fail(f"Error resolving ref for {key}: {error}")
            return None
        if ref is None:
            await self.fail(
                f"Could not resolve ref for {key}. Double check your URL and that your repo is public."
            )
            return None
        self.ref, self.spec, self.prefix = ref, spec, prefix
        return provider

    async def image_exists(self) -> bool:
        """Anything but a found manifest means a build, an unreachable registry too."""
        if not self.settings["use_registry"]:
            return False
        for _ in range(3):
            try:
                return bool(await self.settings["registry"].get_image_manifest(*without_registry(self.image)))
            except (HTTPClientError, OSError):
                app_log.exception("Failed to get image manifest for %s", self.image)
        return False

    def build_only(self) -> bool:
        if self.get_query_argument("build_only", "").lower() != "true":
            return False
        if not self.settings["enable_api_only_mode"]:
            raise HTTPError(
                400, "Building but not launching is not permitted when the API only mode was not enabled."
            )
        return True

    async def build_image(self, provider: Anything, build_only: bool) -> bool:
        """Build, telling each step; False if the log said that it failed.

        A failure that only the pod shows is told and waited out: the loop ends with a built image, or when the client
        has left.
        """
        queue: Queue[Anything] = Queue()
        self.build = build = self.settings["build_class"](
            parent=self.settings["parent"],
            q=queue,
            name=build_name(provider.get_build_slug(), self.ref),
            repo_url=provider.get_repo_url(),
            ref=self.ref,
            image_name=self.image,
            git_credentials=provider.git_credentials,
        )
        if self.settings["use_registry"]:
            build.registry_credentials = (
                await self.settings["registry"].get_credentials(*without_registry(self.image))
                or build.registry_credentials
            )
        else:
            build.push_secret = ""
        broken = failed = reading = False

        def ended(future: Anything) -> None:
            nonlocal broken
            if future.exception():
                app_log.error("Build task failed", exc_info=future.exception())
                broken = True
                message = "Unhandled error watching for build events. Please try again.\n"
                build.progress(Kind.LOG_MESSAGE, json.dumps({"phase": "failed", "message": message}))

        pool = self.settings["build_pool"]
        pool.submit(build.submit).add_done_callback(ended)
        await self.emit({"phase": "waiting", "message": "Waiting for build to start...\n"})
        while not broken:
            progress = await queue.get()
            if progress.kind is Kind.LOG_MESSAGE:
                failed = failed or json.loads(progress.payload).get("phase") in ("failure", "failed")
                await self.emit(progress.payload)
            elif progress.payload is BuildStatus.RUNNING and not reading:
                reading = True
                pool.submit(build.stream_logs).add_done_callback(ended)
            elif progress.payload is BuildStatus.BUILT:
                phase, message = (
                    ("ready", "Done! Image built\n")
                    if build_only
                    else ("built", "Built image, launching...\n")
                )
                await self.emit({"phase": phase, "message": message, "imageName": self.image})
                break
            elif progress.payload in (BuildStatus.FAILED, BuildStatus.UNKNOWN):
                await self.emit({"phase": progress.payload.value})
        return not (broken or failed)

    def on_finish(self) -> None:
        super().on_finish()
        if self.build:
            self.build.stop()
