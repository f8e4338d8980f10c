"""The real redirector as a process, from an upstream checkout that BINDERBOX_UPSTREAM_DEPLOY names.

It is run unmodified but for one word: the path of its configuration file. It needs tornado, pycurl and
prometheus-client; BINDERBOX_UPSTREAM_PYTHON names an interpreter that has them, else this one is tried.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

APP = "images/federation-redirect/app.py"
CONFIG_PATH = "/etc/federation-redirect/config.json"
NEEDS = "import tornado, pycurl, prometheus_client"
STARTS_WITHIN_S = 20
# argv: app.py, configuration file, port. The source stays as it is in the checkout.
RUN = f"""
import sys
app, config, port = sys.argv[1:]
source = open(app).read()
assert source.count({CONFIG_PATH!r}) == 1
sys.argv = [app, "--port=" + port]
exec(compile(source.replace({CONFIG_PATH!r}, config), app, "exec"), {{"__name__": "__main__"}})
"""


class Ended(Exception):
    """It ended before it listened; `status` is its exit status, the text its last line."""

    def __init__(self, status: int, last_line: str) -> None:
        super().__init__(last_line)
        self.status = status


def why_not() -> str:
    """Why the real redirector cannot be run here; "" when it can."""
    checkout = os.environ.get("BINDERBOX_UPSTREAM_DEPLOY")
    if not checkout:
        return "BINDERBOX_UPSTREAM_DEPLOY names no checkout of mybinder.org-deploy"
    if not (Path(checkout) / APP).is_file():
        return f"{checkout} has no {APP}"
    if subprocess.run([_python(), "-c", NEEDS], capture_output=True, check=False).returncode:
        return f"{_python()} lacks tornado, pycurl or prometheus-client (see BINDERBOX_UPSTREAM_PYTHON)"
    return ""


class UpstreamRedirector:
    """One replica of it on loopback, from `with`. Raises Ended."""

    def __init__(self, section: Mapping[str, Any], folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        config = folder / "config.json"
        config.write_text(json.dumps(section))
        self.log = folder / "log"
        app = str(Path(os.environ["BINDERBOX_UPSTREAM_DEPLOY"]) / APP)
        self.command = [_python(), "-c", RUN, app, str(config), str(port)]

    def __enter__(self) -> UpstreamRedirector:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        deadline = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Ended(self.process.returncode, self.log.read_text().splitlines()[-1])
            try:
                httpx.get(f"{self.url}/active_hosts", timeout=1, trust_env=False)
            except httpx.HTTPError:
                time.sleep(0.05)
            else:
                return self
        self.__exit__()
        raise AssertionError(
            f"the redirector did not listen within {STARTS_WITHIN_S} s: {self.log.read_text()}"
        )

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _python() -> str:
    return os.environ.get("BINDERBOX_UPSTREAM_PYTHON") or sys.executable
