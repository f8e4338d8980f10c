"""Plays a recorded scenario to a running redirector, ours or the real one, and says where it did otherwise."""

from __future__ import annotations

import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from random import Random
from typing import Any, Protocol

import httpx

from binderbox.federation.redirector.config import make_config
from binderbox.federation.redirector.rules import choose, read_cookie, with_program_defaults
from tests.federation.prime import Prime, make_health
from tests.federation.recordings import URLS, distinct_path, make_section
from tests.federation.small_redirector import active_of

HEALTH = re.compile(r"^federation_health(?:_check)?\{.*", re.M)
PATIENCE_S = 60
COOKIE = re.compile(r'host="([^"]*)"; expires=([^;]*); Path=(.*)')


class Running(Protocol):
    url: str


Start = Callable[[Mapping[str, Any]], AbstractContextManager[Running]]


def play(scenario: Mapping[str, Any], start: Start) -> list[str]:
    """What a redirector that `start` makes does otherwise than recorded, one line each; it must start."""
    with members_of(scenario) as members:
        urls = {name: one if isinstance(one, str) else one.url for name, one in members.items()}
        section = make_section(scenario, urls)
        if scenario["scenario"] != "timeout":
            # a machine with much else to do answers late, and a reason once told stays in the gauges
            section["check"] = {**section["check"], "timeout": 10}
        with (
            start(section) as running,
            httpx.Client(
                base_url=running.url,
                trust_env=False,
                timeout=PATIENCE_S,
                limits=httpx.Limits(
                    max_keepalive_connections=0
                ),  # one kept may be closed as it is used again
            ) as client,
        ):
            wrong = _let_b_come_back(scenario, members, client) or _settle(scenario, client)
            if not wrong:
                wrong = [*_wrong_answers(scenario, urls, client), *_wrong_shares(scenario, section, client)]
    return [f"{scenario['scenario']}: {one}" for one in wrong]


@contextmanager
def members_of(scenario: Mapping[str, Any]) -> Iterator[dict[str, Prime | str]]:
    """The three members as the scenario has them; for a stopped one the address of a port where nobody listens."""
    with ExitStack() as stack:
        members: dict[str, Prime | str] = {}
        for name in URLS:
            if name in scenario["stopped"]:
                closed = stack.enter_context(
                    socket.socket()
                )  # held, so that nobody else gets the port meanwhile
                closed.bind(("127.0.0.1", 0))
                members[name] = f"http://127.0.0.1:{closed.getsockname()[1]}"
                continue
            told = scenario["members"].get(name, {})
            one = stack.enter_context(
                Prime(**{key: told[key] for key in ("versions", "health") if key in told})
            )
            one.status = told.get("status", 200)
            one.delays = told.get("sleep", {})
            one.page = dict.fromkeys(told.get("html", ()), "<html><body>hello</body></html>")
            members[name] = one
        yield members


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _let_b_come_back(
    scenario: Mapping[str, Any], members: Mapping[str, Prime | str], client: httpx.Client
) -> list[str]:
    """In two scenarios b goes out, over quota or with 503, and is well again once it is out."""
    b = members["b"]
    if scenario["scenario"] not in ("recover", "rendezvous-member-leaves") or isinstance(b, str):
        return []
    if scenario["scenario"] == "rendezvous-member-leaves":
        b.health = make_health(55, 60)
    deadline = time.monotonic() + PATIENCE_S
    while active_of(client.get("/active_hosts")) != {"a", "c"}:
        if time.monotonic() > deadline:
            return [f"b is still active after {PATIENCE_S} s"]
        time.sleep(0.2)
    b.status, b.health = 200, make_health()
    return []


def _settle(scenario: Mapping[str, Any], client: httpx.Client) -> list[str]:
    """Waits until members and gauges are as recorded at the end; [] when they are.

    More gauges may be there, of looks that went well: as long as the prime was not asked, any versions do.
    """
    wanted_active, wanted = set(scenario["active_at_end"]), set(scenario["gauges"])
    deadline = time.monotonic() + PATIENCE_S
    while True:
        active = active_of(client.get("/active_hosts"))
        gauges = set(HEALTH.findall(client.get("/metrics").text))
        more = {one for one in gauges - wanted if not one.endswith(" 1.0")}
        if active == wanted_active and wanted <= gauges and not more:
            return []
        if time.monotonic() > deadline:
            found = f"active {sorted(active)}, not {sorted(wanted_active)}"
            return [f"{found}; gauges lack {sorted(wanted - gauges)}, have {sorted(more)}"]
        time.sleep(0.2)


def _wrong_answers(
    scenario: Mapping[str, Any], urls: Mapping[str, str], client: httpx.Client
) -> Iterator[str]:
    """Each recorded single request again: status, address, cookie and CORS, with the members' addresses put in."""
    decided = scenario["config"].get("load_balancer") == "rendezvous"
    for one in scenario.get("answers", ()):
        cookie = {"Cookie": _moved(one["cookie"], urls)} if one["cookie"] else {}
        client.cookies.clear()
        answer = client.request(one["method"], one["path"], headers=cookie)
        label = f"{one['method']} {one['path']} {one['cookie']}"
        if answer.status_code != one["status"]:
            yield f"{label}: status {answer.status_code}, not {one['status']}"
        if answer.status_code == 405:
            continue  # the real one sets CORS there too, ours does not care
        if answer.headers.get("Access-Control-Allow-Origin", "") != one["cors"] and one["status"] == 307:
            yield f"{label}: CORS {answer.headers.get('Access-Control-Allow-Origin')!r}, not {one['cors']!r}"
        location, wanted = answer.headers.get("Location", ""), _moved(one["location"], urls)
        named = read_cookie(one["cookie"]) in URLS.values()
        if location != wanted and (decided or named or not one["location"].startswith("http://127")):
            yield f"{label}: to {location}, not {wanted}"
        if one["set_cookie"]:
            told, recorded = (
                COOKIE.fullmatch(answer.headers["Set-Cookie"]),
                COOKIE.fullmatch(one["set_cookie"]),
            )
            if not (told and recorded and told[3] == recorded[3] and location.startswith(told[1])):
                yield f"{label}: cookie {answer.headers['Set-Cookie']}, not like {one['set_cookie']}"


def _wrong_shares(
    scenario: Mapping[str, Any], section: Mapping[str, Any], client: httpx.Client
) -> Iterator[str]:
    """With `rendezvous` each request must go where the rules say; with `random`, who gets any must be as recorded."""
    config = make_config(with_program_defaults(section))
    if "shares" not in scenario or scenario["scenario"] == "two-primes-versions-differ":
        return  # there two references take turns, and c comes and goes with them
    paths = [distinct_path(i) for i in range(120)]
    went = [_location(client, path).removesuffix(path) for path in paths]
    if config.load_balancer == "rendezvous":
        ruled = [
            choose(config, scenario["active_at_end"], path, cookie="", random=Random(1)) for path in paths
        ]
        yield from (
            f"{path} went to {url}, by the rules {choice.url}"
            for path, url, choice in zip(paths, went, ruled, strict=True)
            if url != choice.url
        )
    # a member with a share of 10 % is missed by all 120 once in 300,000
    elif set(went) != {one.url for one in config.hosts if one.name in scenario["shares"]["distinct"]}:
        yield f"requests went to {Counter(went)}, recorded {scenario['shares']}"


def _location(client: httpx.Client, path: str) -> str:
    client.cookies.clear()
    return client.get(path).headers["Location"]


def _moved(text: str, urls: Mapping[str, str]) -> str:
    for name, url in URLS.items():
        text = text.replace(url, urls[name])
    return text
