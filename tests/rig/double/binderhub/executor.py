"""What every way of building shares: its settings and the repo2docker command."""

import threading
from typing import Any as Anything

from tornado.ioloop import IOLoop
from traitlets import Any, Dict, List, Unicode, default
from traitlets.config import LoggingConfigurable

from binderhub.progress import BuildStatus, Kind, ProgressEvent


class BuildExecutor(LoggingConfigurable):
    """One build of one commit; progress goes to the queue `q` on the main thread."""

    q = Any()
    name = Unicode()
    repo_url = Unicode()
    ref = Unicode()
    image_name = Unicode()
    git_credentials = Unicode("", config=True)
    push_secret = Unicode("", config=True)
    registry_credentials = Dict({}, config=True)
    appendix = Unicode("", config=True)
    builder_info = Dict(config=True)
    repo2docker_extra_args = List(Unicode(), config=True)
    stop_event = Any()

    @default("stop_event")
    def _stop_event(self) -> threading.Event:
        return threading.Event()

    def __init__(self, **kwargs: Anything) -> None:
        super().__init__(**kwargs)
        self.main_loop = IOLoop.current()

    def get_r2d_cmd_options(self) -> list[str]:
        options = [
            f"--ref={self.ref}",
            f"--image={self.image_name}",
            "--no-clean",
            "--no-run",
            "--json-logs",
            "--user-name=jovyan",
            "--user-id=1000",
        ]
        if self.appendix:
            options += ["--appendix", self.appendix]
        if self.push_secret:
            options.append("--push")
        return options + self.repo2docker_extra_args

    def get_cmd(self) -> list[str]:
        return ["jupyter-repo2docker", *self.get_r2d_cmd_options(), self.repo_url]

    def progress(self, kind: Kind, payload: BuildStatus | str) -> None:
        self.main_loop.add_callback(self.q.put, ProgressEvent(kind, payload))

    def submit(self) -> None:
        raise NotImplementedError

    def stream_logs(self) -> None:
        pass

    def stop(self) -> None:
        """Stop watching. The build itself goes on: other requests may wait for it."""
        self.stop_event.set()
