"""A small real redirector on the rules of `binderbox.federation.redirector.rules`: same routes, checks and metrics as mybinder.org's.

`section` is what stands in its configuration file (`hosts`, `check`, `load_balancer` ...); what is absent has the
*program's* defaults (10 s, 300 s after a failure), so tests name their seconds. It starts with every member active.
Members whose names no DNS knows: `addresses={"b.example": "10.213.0.5"}` and `ca_pem`, or a `fetch` of your own.
"""

from __future__ import annotations

import json
import random
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import httpx

from binderbox.federation.redirector import rules
from binderbox.federation.redirector.config import HostEntry, make_config
from binderbox.federation.redirector.rules import Answer, MemberSeen, Standing
from binderbox.federation.redirector.timing import PAUSE_BETWEEN_TRIES_S
from tests.federation.serving import Asker, Handler, Served

PROXY_TIMEOUT_S = 20  # tornado's own
BADGES = {
    "/badge.svg": "https://static.mybinder.org/badge.svg",
    "/badge_logo.svg": "https://static.mybinder.org/badge_logo.svg",
    "/assets/images/badge.svg": "https://static.mybinder.org/badge.svg",
}
NOT_PASSED_ON = ("content-length", "transfer-encoding", "content-encoding", "connection")


class Ended(Exception):
    """The redirector would have ended at its start; the text says why."""


class Redirector(Served):
    """One replica. `history` has (seconds since the start, names of the active members), first and at each change."""

    def __init__(
        self,
        section: Mapping[str, Any],
        *,
        fetch: Callable[[str, float], Answer] | None = None,
        ca_pem: str | None = None,
        addresses: Mapping[str, str] = {},
        seed: int | None = None,
        bind: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.handler = _Handler
        self.config = make_config(rules.with_program_defaults(section))
        if faults := rules.start_faults(self.config):
            raise Ended("; ".join(faults))
        super().__init__(bind=bind, port=port, tls=tls)
        self.asker = Asker(ca_pem=ca_pem, addresses=addresses)
        self.fetch = fetch or self.asker
        self.random = random.Random(seed)
        self.active = {one.name: True for one in rules.in_rotation(self.config)}
        self.standings: dict[str, Standing] = {}
        self.history: list[tuple[float, tuple[str, ...]]] = []
        self.reference: Any = None
        self.health: dict[tuple[str, str], int] = {}  # as the gauges: an old reason is never cleared
        self.health_check: dict[tuple[str, str], int] = {}
        self.redirects: Counter[tuple[str, str]] = Counter()
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._checks = [
            threading.Thread(target=self._check_for_ever, args=(one,), daemon=True)
            for one in rules.in_rotation(self.config)
        ]

    def __enter__(self) -> Redirector:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        super().start()
        self.history.append((0.0, tuple(sorted(self.active))))
        for thread in self._checks:
            thread.start()

    def close(self) -> None:
        self._ending.set()
        super().close()

    def wait_until(self, names: Collection[str], within_s: float) -> float:
        """Seconds until exactly these members are active; AssertionError with their standings when that is too late."""
        began, wanted = time.monotonic(), set(names)
        with self._changed:
            if self._changed.wait_for(lambda: set(self.active) == wanted, within_s):
                return time.monotonic() - began
            raise AssertionError(f"active after {within_s} s: {sorted(self.active)}; {self.standings}")

    def redirect(self, path: str, cookie: str) -> rules.Choice:
        choice = rules.choose(self.config, self.active, path, cookie=cookie, random=self.random)
        with self._changed:
            self.redirects[choice.name, choice.by] += 1
        return choice

    def active_hosts(self) -> dict[str, Any]:
        hosts = (one for name in list(self.active) if (one := self.config.host(name)))
        return {
            one.name: {
                "prime": one.prime,
                "url": one.url,
                "weight": one.weight,
                "health": one.health,
                "versions": one.versions,
            }
            for one in hosts
        }

    def metrics(self) -> list[str]:
        with self._changed:
            lines = [
                f'federation_health{{member="{member}",reason="{reason}"}} {float(value)}'
                for (member, reason), value in self.health.items()
            ]
            lines += [
                f'federation_health_check{{check="{check}",member="{member}"}} {float(value)}'
                for (member, check), value in self.health_check.items()
            ]
            lines += [
                f'federation_redirect_count{{member="{member}",reason="{reason}"}} {float(value)}'
                for (member, reason), value in self.redirects.items()
            ]
        return lines

    def _check_for_ever(self, entry: HostEntry) -> None:
        while not self._ending.is_set():
            looks = self._looks(entry)
            if self._ending.is_set():
                return
            standing = rules.judge_round(looks)
            with self._changed:
                self.standings[entry.name] = standing
                self.health[entry.name, standing.reason] = int(standing.active)
                if standing.active != (entry.name in self.active):
                    if standing.active:
                        self.active = {**self.active, entry.name: True}
                    else:
                        self.active = {name: True for name in self.active if name != entry.name}
                    self.history.append((self.seconds(), tuple(sorted(self.active))))
                    self._changed.notify_all()
            earliest, latest = rules.next_check_s(self.config, standing.active)
            self._ending.wait(self.random.uniform(earliest, latest))

    def _looks(self, entry: HostEntry) -> list[Standing]:
        """One check: `retries` looks in a row, a pause after each that gave no usable answer, a named failure ends it."""
        looks: list[Standing] = []
        for _ in range(self.config.check.retries):
            if looks and not looks[-1].active and self._ending.wait(PAUSE_BETWEEN_TRIES_S):
                break
            looks.append(self._look(entry))
            if not looks[-1].active and looks[-1].reason != rules.UNKNOWN:
                break
        return looks

    def _look(self, entry: HostEntry) -> Standing:
        limit_s = self.config.check.timeout_s
        seen = MemberSeen(entry.name, self.fetch(entry.versions, limit_s), Answer(0, error="not asked"))
        with self._changed:
            self.reference = rules.reference_versions(self.config, {entry.name: seen}, self.reference)
            reference = self.reference
            reason, _ = rules.judge_versions(seen.versions, None if entry.prime else reference)
            if reason != rules.UNKNOWN:
                self.health_check[entry.name, rules.VERSIONS] = int(not reason)
        if not reason:  # else /health is not even asked
            seen = MemberSeen(entry.name, seen.versions, self.fetch(entry.health, limit_s))
            self._note_checks(entry.name, seen.health)
        return rules.judge_member(entry, seen, reference, self.config)

    def _note_checks(self, name: str, health: Answer) -> None:
        if rules.judge_health(health, self.config.pod_headroom)[0] != rules.UNKNOWN:
            with self._changed:
                for check in health.body["checks"]:
                    self.health_check[name, str(check["service"])] = int(check["ok"])


class _Handler(Handler):
    @property
    def owner(self) -> Redirector:
        return cast(Any, self.server).owner  # type: ignore[no-any-return]

    def answer(self) -> None:
        path = self.path.partition("?")[0]
        if self.command != "GET":
            page = "<html><title>405: Method Not Allowed</title><body>405: Method Not Allowed</body></html>"
            self.send(405, page.encode())
        elif path.startswith("/build/"):
            self._redirect(path)
        elif path in BADGES:
            self.send(301, b"", {"Location": BADGES[path]})
        elif path == "/active_hosts":
            self.send_json(200, {"active_hosts": self.owner.active_hosts()})
        elif path == "/metrics":
            self.send(200, "\n".join([*self.owner.metrics(), ""]).encode(), {"Content-Type": "text/plain"})
        else:
            self._proxy()

    def _redirect(self, path: str) -> None:
        cookie = rules.read_cookie(self.headers.get("Cookie", ""))
        choice = self.owner.redirect(path, cookie)
        headers = {
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Headers": "cache-control",
            "Location": choice.url + self.path,
            "Set-Cookie": rules.cookie_header(self.owner.config, choice.url, path, datetime.now(UTC)),
        }
        self.send(307, b"", headers)

    def _proxy(self) -> None:
        """To the first prime, well or not. Its page must believe that it is at our address: Origin says so."""
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in ("host", "accept-encoding")
        }
        if host := self.headers.get("Host"):
            headers.setdefault("X-Forwarded-Host", host)
            headers["Origin"] = f"https://{host}"
        headers["X-Binder-Launch-Host"] = "https://mybinder.org/"
        target = rules.primes(self.owner.config)[0].url + self.path
        try:
            answer = self.owner.asker.get(target, PROXY_TIMEOUT_S, headers)
        except (httpx.HTTPError, OSError) as error:
            self.send(500, str(error).encode())
            return
        kept = [(k, v) for k, v in answer.headers.multi_items() if k.lower() not in NOT_PASSED_ON]
        self.send(answer.status_code, answer.content, kept)


def active_of(answer: httpx.Response) -> set[str]:
    """The names in an answer of /active_hosts."""
    return set(json.loads(answer.text)["active_hosts"])
