"""Places that the host does not reach, or that are not what they should be: why, and what to do. Pure.

A proxy, a portal or a mirror may answer in the place of whom was asked; then it is named, with the key that is about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from binderbox.checks.probe import Reached
from binderbox.decide import proxies, urls
from binderbox.member.model import Member
from binderbox.parts.ingress import acme

# curl's exit codes
NO_PROXY_NAME, NO_NAME, NO_WAY, TOO_LATE, NO_TLS, BROKEN, UNTRUSTED = 5, 6, 7, 28, 35, 56, 60
NO_LOGIN = 407
IS_REGISTRY = (200, 401)  # distribution-spec, end-1
BUNDLE = "or make a bundle elsewhere by binderbox bundle create DIR, set offline: true, and install with --bundle DIR"

BOX = "where a box of the site ends TLS, put its authority into extra_ca"


@dataclass(frozen=True)
class Lost:
    url: str
    why: str
    way_out: str


def mirrors_of(member: Member) -> frozenset[str]:
    """What each mirror is asked: the question by which a registry is known (distribution-spec, end-1)."""
    return frozenset(f"{endpoint}/v2/" for one in member.mirrors for endpoint in one.endpoints)


def lost(reached: Iterable[Reached], member: Member) -> tuple[Lost, ...]:
    """Those of the places that an install cannot use, in their order."""
    return tuple(_lost(reached, member))


def _lost(reached: Iterable[Reached], member: Member) -> Iterator[Lost]:
    mirrors = mirrors_of(member)
    for one in reached:
        if one.code:
            yield _of_proxy(one, member) or _of_place(one)
        elif one.url in mirrors and one.status:
            if one.status not in IS_REGISTRY or _is_page(one):
                yield Lost(
                    one.url,
                    f"no registry answers there, but {_answer(one)}",
                    "give `mirrors` the addresses of registries, or leave them out",
                )
        elif one.url == acme.server(member) and one.status and (one.status >= 400 or _is_page(one)):
            yield Lost(
                one.url,
                f"no directory of an authority, but {_answer(one)}",
                "wait until the authority is back, or give `acme_server` the address of its directory",
            )


def _of_proxy(one: Reached, member: Member) -> Lost | None:
    """What of it is the proxy's doing; None where it is the place's own, or there is no proxy."""
    key, proxy = "proxy.https", member.proxy.https
    if one.url.startswith("http://"):
        key, proxy = "proxy.http", member.proxy.http
    if proxy is None:
        return None
    see = f"set `{key}` to the site's proxy, or ask its keeper"
    let = f"ask the keeper of {urlsplit(proxy).netloc} to let this host through to it, {BUNDLE}"
    refused = re.search(r"response (\d{3})", one.said)
    if refused and int(refused[1]) == NO_LOGIN:
        return Lost(
            one.url,
            "the proxy wants a login",
            f"give it: binderbox secrets set HOST {proxies.LOGIN_SECRET}",
        )
    if refused:
        return Lost(one.url, f"the proxy refuses it with {refused[1]}", let)
    if one.code == NO_TLS and "wrong version number" in one.said:
        return Lost(one.url, "the proxy answers with a page of its own", see)
    if one.code == BROKEN and "CONNECT" in one.said:
        return Lost(one.url, "the proxy breaks off", see)
    if one.code == NO_PROXY_NAME:
        return Lost(one.url, f"the host's resolver does not know the proxy {urlsplit(proxy).hostname}", see)
    if one.code == NO_WAY:
        return Lost(one.url, f"the proxy {urlsplit(proxy).netloc} takes no connection", see)
    return None


def _of_place(one: Reached) -> Lost:
    silent = one.code == TOO_LATE and "Resolving timed out" in one.said
    if one.code == NO_NAME or silent:
        why = "the host's resolver does not answer" if silent else "the host's resolver does not know it"
        return Lost(one.url, why, f"let the host have a resolver that knows public names, {BUNDLE}")
    if one.code == UNTRUSTED:
        why = f"its certificate is by {one.signed or 'somebody whom the host does not know'}"
        return Lost(one.url, why, BOX)
    why = one.said.partition(") ")[2] or one.said or f"curl ended with {one.code}"
    if one.code == NO_TLS:
        return Lost(one.url, why, BOX)
    return Lost(one.url, why, f"open outgoing TCP {urls.port(one.url)} at the provider's firewall; {BUNDLE}")


def _is_page(one: Reached) -> bool:
    return one.kind.partition(";")[0].strip() == "text/html"


def _answer(one: Reached) -> str:
    return f"{'a page' if _is_page(one) else 'an answer'} with HTTP {one.status}"
