"""People who open the same link one after the other, each as a browser does, while something happens to the member.

A stream that is cut before it said `ready` is a failed launch, because BinderHub's page does not take it up again
(binderhub b9fad995 js/packages/binderhub-client/lib/client.js: onclose and onerror end it; only an answer of 429 or
5xx at its start is tried again, after a second).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlencode

import httpx

from binderbox import layout
from binderbox.commands.connect import opened
from binderbox.commands.prove import page_token
from binderbox.commands.serve_sample import served
from binderbox.errors import NoAnswer
from binderbox.launch.stream import Launch, build_path, follow, over, page_path
from binderbox.member.model import Networks
from binderbox.output.requests import Connection
from binderbox.world.http.web import Web
from tests.rig.client import DOMAIN
from tests.rig.host import RigHost
from tests.rig.images import SAMPLE_BASE

TARGETS = {"cluster resolver": "dns:kubernetes.default.svc.cluster.local"}
RETRIES = 5
LAUNCH_S = 120


@dataclass
class Visitors:
    """Starts with `with`; `launched` counts, `failed` has a reason for each launch that did not end well."""

    binder_url: str
    address: str
    ca_pem: str
    repository: str
    ref: str = "main"
    launched: int = 0
    failed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._visit, daemon=True)
        self.web = Web(httpx.URL(self.binder_url).host, self.address, self.ca_pem)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(LAUNCH_S)
        self.web.close()

    def once(self, on_event: Callable[[Launch], None] = lambda state: None) -> Launch:
        """One launch, and its server stopped; raises NoAnswer. `on_event` sees the launch after each event."""
        path, started = build_path(self.repository, self.ref), time.monotonic()
        token = page_token(self.web, self.binder_url + page_path(path))
        state = Launch()
        for tried in range(RETRIES):
            try:
                for event in self.web.events(
                    f"{self.binder_url}{path}?{urlencode({'build_token': token})}", silence_s=60
                ):
                    state = follow(state, event, time.monotonic() - started) if event else state
                    on_event(state)
                    if over(state, time.monotonic() - started):
                        break
                break
            except NoAnswer as error:
                status = getattr(getattr(error.__cause__, "response", None), "status_code", 0)
                if state.phase or tried == RETRIES - 1 or not (status == 429 or status >= 500):
                    raise
                time.sleep(1)
        if not state.ready:
            raise NoAnswer(state.failure or f"the stream ended in phase {state.phase or 'none'}")
        with suppress(NoAnswer):  # a server that ends may be gone before it has answered
            self.web.request("POST", f"{state.url}api/shutdown?token={state.token}", json={})
        return state

    def _visit(self) -> None:
        while not self._over.is_set():
            started = time.monotonic()
            try:
                self.once()
                self.launched += 1
            except Exception as error:  # whatever a visitor meets is a failed launch
                self.failed.append(f"after {time.monotonic() - started:.1f} s: {error}")
            self._over.wait(0.2)


@contextmanager
def visited(host: RigHost) -> Iterator[Visitors]:
    """Visitors of a repository that is on the node already; they come when the block enters them."""
    ca = host.exec(["cat", f"{layout.CA}/ca.crt"])
    with (
        opened(Connection(host.alias, host.ssh_config)) as there,
        served(there, SAMPLE_BASE, TARGETS, Networks().pod_gateway) as url,
    ):
        visitors = Visitors(f"https://{DOMAIN}", host.address, ca, url)
        visitors.once()
        yield visitors
