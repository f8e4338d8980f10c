"""The double's application: reads its configuration as BinderHub does, and serves its pages.

The configuration is a Python file, run by traitlets. If it raises, traitlets logs "Exception while loading config
file", drops *all* of it, and the program goes on with its defaults: Ready, and of no use.
"""

import asyncio
import os
import secrets
from binascii import a2b_hex
from concurrent.futures import ThreadPoolExecutor
from typing import Any as Anything
from typing import ClassVar

import tornado.log
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application as WebApplication
from traitlets import Any, Bool, Bytes, Dict, Integer, Type, Unicode, Union, default, validate
from traitlets.config import Application

from binderhub.base import LaunchPageHandler, PageHandler, VersionHandler
from binderhub.build import BuildExecutor, KubernetesBuildExecutor, KubernetesCleaner
from binderhub.builder import BuildHandler
from binderhub.events import EventLog
from binderhub.health import HealthHandler
from binderhub.launcher import Launcher
from binderhub.metrics import MetricsHandler
from binderhub.quota import LaunchQuota
from binderhub.ratelimit import RateLimiter
from binderhub.registry import DockerRegistry
from binderhub.repoproviders import GitHubRepoProvider, GitRepoProvider
from binderhub.watching import load_kubernetes


class BinderHub(Application):
    name = "binderhub"
    aliases: ClassVar = {"config": "BinderHub.config_file"}
    config_file = Unicode("binderhub_config.py", config=True)
    log_level = 20
    port = Integer(8585, config=True)
    base_url = Unicode("/", config=True)
    badge_base_url = Unicode("", config=True)
    cors_allow_origin = Unicode("", config=True)
    use_registry = Bool(True, config=True)
    image_prefix = Unicode("", config=True)
    build_class = Type(KubernetesBuildExecutor, klass=BuildExecutor, config=True)
    registry_class = Type(DockerRegistry, config=True)
    repo_providers = Dict({"gh": GitHubRepoProvider, "git": GitRepoProvider}, config=True)
    per_repo_quota = Integer(0, config=True)
    per_repo_quota_higher = Integer(0, config=True)
    hub_url = Unicode(config=True)
    hub_url_local = Unicode(config=True)
    concurrent_build_limit = Integer(32, config=True)
    build_cleanup_interval = Integer(60, config=True)
    build_token_secret = Union([Unicode(), Bytes()], config=True)
    build_token_check_origin = Bool(True, config=True)
    build_token_expires_seconds = Integer(300, config=True)
    enable_api_only_mode = Bool(False, config=True)
    normalized_origin = Unicode("", config=True)
    tornado_settings = Dict(config=True)
    # accepted and without effect here: words on pages, and sign-in
    auth_enabled = Bool(False, config=True)
    banner_message = Unicode("", config=True)
    about_message = Unicode("", config=True)
    extra_header_html = Dict(config=True)
    extra_footer_scripts = Dict(config=True)
    template_path = Unicode("", config=True)
    template_variables = Dict(config=True)
    build_docker_host = Any(None, config=True)
    build_node_selector = Dict(config=True)

    classes: ClassVar = [
        KubernetesBuildExecutor,
        KubernetesCleaner,
        LaunchQuota,
        RateLimiter,
        Launcher,
        DockerRegistry,
        EventLog,
    ]

    @validate("base_url", "hub_url", "hub_url_local", "badge_base_url")
    def _with_slash(self, proposal: Anything) -> str:
        value = proposal.value
        return value if not value or value.endswith("/") else f"{value}/"

    @default("hub_url_local")
    def _hub_url_local(self) -> str:
        return self.hub_url

    @default("build_token_secret")
    def _build_token_secret(self) -> bytes:
        self.log.warning("Generating random build token secret.")
        return secrets.token_bytes(32)

    @validate("build_token_secret")
    def _secret_from_hex(self, proposal: Anything) -> bytes:
        return a2b_hex(proposal.value) if isinstance(proposal.value, str) else proposal.value

    def initialize(self, argv: list[str] | None = None) -> None:
        super().initialize(argv)
        self.load_config_file(self.config_file)
        if self.build_docker_host is not None:  # the old name of the executor's setting
            self.config.KubernetesBuildExecutor.setdefault("docker_host", self.build_docker_host)
        tornado.log.enable_pretty_logging()
        self.log = tornado.log.app_log
        self.web = WebApplication(self.handlers(), **self.settings())

    def handlers(self) -> list[Anything]:
        prefix = self.base_url.rstrip("/")
        return [
            (f"{prefix}/versions", VersionHandler),
            (f"{prefix}/v2/([^/]+)/(.+)", LaunchPageHandler),
            (f"{prefix}/build/([^/]+)/(.+)", BuildHandler),
            (f"{prefix}/health", HealthHandler),
            (f"{prefix}/metrics", MetricsHandler),
            (f"{prefix}/.*", PageHandler),
        ]

    def settings(self) -> dict[str, Anything]:
        headers = dict(self.tornado_settings.get("headers", {}))
        if self.cors_allow_origin:
            headers.setdefault("Access-Control-Allow-Origin", self.cors_allow_origin)
        names = (
            "base_url badge_base_url image_prefix build_class use_registry repo_providers per_repo_quota "
            "per_repo_quota_higher build_token_secret build_token_check_origin "
            "build_token_expires_seconds enable_api_only_mode normalized_origin"
        )
        launcher = Launcher(
            parent=self,
            hub_url=self.hub_url,
            hub_url_local=self.hub_url_local,
            hub_api_token=os.environ.get("JUPYTERHUB_API_TOKEN", ""),
        )
        return {
            **{name: getattr(self, name) for name in names.split()},
            "headers": headers,
            "config": self.config,
            "parent": self,
            "launcher": launcher,
            "registry": self.registry_class(parent=self) if self.use_registry else None,
            "launch_quota": LaunchQuota(parent=self),
            "rate_limiter": RateLimiter(parent=self),
            "event_log": EventLog(parent=self),
            "example_builder": self.build_class(parent=self),
            "build_pool": ThreadPoolExecutor(2 * self.concurrent_build_limit),  # a watch and a log per build
        }

    async def reap(self) -> None:
        cleaner = KubernetesCleaner(parent=self, kube=load_kubernetes())
        while True:
            try:
                await asyncio.to_thread(cleaner.cleanup)
            except Exception:
                self.log.exception("Failed to cleanup builders")
            await asyncio.sleep(self.build_cleanup_interval)

    def start(self) -> None:
        self.log.info("The rig's double of BinderHub, on port %i", self.port)
        HTTPServer(self.web, xheaders=True).listen(self.port)
        IOLoop.current().add_callback(self.reap)
        IOLoop.current().start()
