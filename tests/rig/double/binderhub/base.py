"""What all pages share: CORS, banned networks, the build token, the rate limit."""

import json
import time
from typing import Any as Anything
from urllib.parse import urlparse

import jwt
from tornado import web
from tornado.log import app_log

from binderhub import __version__
from binderhub.ratelimit import RateLimitExceeded


class BaseHandler(web.RequestHandler):
    have_build_token = False
    checks_network = False

    def set_default_headers(self) -> None:
        for name, value in self.settings["headers"].items():
            self.set_header(name, value)
        self.set_header("Access-Control-Allow-Headers", "cache-control")

    def options(self, *args: Anything) -> None:
        pass

    def check_build_token(self, token: str | None, audience: str) -> None:
        """No token is accepted, a wrong one is a 403: a member without the federation's secret refuses its launches."""
        if not token:
            return
        try:
            claims = jwt.decode(
                token, key=self.settings["build_token_secret"], audience=audience, algorithms=["HS256"]
            )
        except jwt.PyJWTError as error:
            app_log.error("Failure to validate build token for %s: %s", audience, error)
            raise web.HTTPError(403, "Invalid build token") from error
        origin = self.token_origin()
        if claims["origin"] != origin and self.settings["build_token_check_origin"]:
            app_log.error("Build token from mismatched origin != %s", origin)
            raise web.HTTPError(403, "Invalid build token")
        self.have_build_token = True

    def token_origin(self) -> str:
        origin = self.request.headers.get("Origin")
        return self.request.headers.get("Host", "") if origin is None else urlparse(origin).netloc

    def check_rate_limit(self) -> None:
        limiter = self.settings["rate_limiter"]
        if limiter.limit == 0 or self.have_build_token:
            return
        try:
            window = limiter.increment(self.request.remote_ip)
        except RateLimitExceeded:
            raise web.HTTPError(
                429, f"Rate limit exceeded. Try again in {limiter.period_seconds} seconds."
            ) from None
        self.set_header("X-Ratelimit-Remaining", str(window["remaining"]))
        self.set_header("X-Ratelimit-Reset", str(window["reset"]))
        self.set_header("X-Ratelimit-Limit", str(limiter.limit))


class VersionHandler(BaseHandler):
    def set_default_headers(self) -> None:
        self.set_header("Access-Control-Allow-Origin", "*")
        super().set_default_headers()

    def get(self) -> None:
        info = self.settings["example_builder"].builder_info
        versions = {"builder_info": info, "binderhub": __version__}
        if "build_image" in info:
            versions["builder"] = info["build_image"]
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps(versions))


class LaunchPageHandler(BaseHandler):
    """The page of one repository; all that matters in it is the token, with which the rate limit does not count."""

    def get(self, provider: str, _unquoted: str) -> None:
        if provider not in self.settings["repo_providers"]:
            raise web.HTTPError(404)
        start = f"/v2/{provider}/"
        spec = self.request.path[self.request.path.index(start) + len(start) :]  # as it came, still quoted
        claims = {
            "exp": int(time.time()) + self.settings["build_token_expires_seconds"],
            "aud": f"{provider}/{spec}",
            "origin": self.token_origin(),
        }
        token = jwt.encode(claims, key=self.settings["build_token_secret"], algorithm="HS256")
        page_config = json.dumps({"baseUrl": self.settings["base_url"], "buildToken": token})
        self.write(f"<!doctype html><title>Binder</title><script>window.pageConfig = {page_config};</script>")


class PageHandler(BaseHandler):
    """Every other path has a page, as in the real one; here it only says what this is."""

    def get(self) -> None:
        self.write(
            "<!doctype html><title>Binder</title><p>The rig's double of BinderHub. There is no page here.</p>"
        )
