"""The thanks in mybinder.org's banner: `binderhub.config.BinderHub.banner_message` in mybinder/values.yaml."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import yaml

from binderbox.federation.deployrepo.guard import Intent, changed_lines, guard
from binderbox.federation.deployrepo.scrape import NoPlace
from binderbox.federation.deployrepo.tree import VALUES
from binderbox.federation.deployrepo.yamltext import Document, value_span

STEP = f"thanks in the banner ({VALUES})"  # of a checklist
KEYS = ("binderhub", "config", "BinderHub", "banner_message")
LINK = r'<a href="[^"<>]*">[^<>]*</a>'
LIST = re.compile(rf"(?<=Thanks to )({LINK})(?:(?:,? and |, ){LINK})*(?= )")


@dataclass(frozen=True)
class Sponsor:
    """Who is thanked, and where the link leads."""

    name: str
    url: str

    def render(self) -> str:
        return f'<a href="{html.escape(self.url)}">{html.escape(self.name, quote=False)}</a>'


def thanked(document: Document) -> tuple[Sponsor, ...]:
    """Who is in the list. Raises NoPlace."""
    links, _, _ = _list(document)
    return tuple(
        Sponsor(html.unescape(link.partition(">")[2].removesuffix("</a>")), _href(link)) for link in links
    )


def same(url: str, other: str) -> bool:
    """Whether people would say that both lead to the same: http or https, `www.` or not, a slash at the end or not."""
    return _meant(url) == _meant(other)


def render_thanked(everybody: tuple[Sponsor, ...]) -> str:
    return ", ".join(f"{one.name} ({one.url})" for one in everybody)


def add(document: Document, sponsor: Sponsor) -> str:
    """The text with one more link in the list; as it is where that address is thanked. Raises NoPlace."""
    links, (start, end), comma = _list(document)
    if any(same(_href(link), sponsor.url) for link in links):
        return document.text
    return _replaced(document, start, end, _join([*links, sponsor.render()], comma))


def remove(document: Document, url: str) -> str:
    """The text without the link to this address. Raises NoPlace, also when it is the only one."""
    links, (start, end), comma = _list(document)
    kept = [link for link in links if not same(_href(link), url)]
    if len(kept) == len(links):
        return document.text
    if not kept:
        raise NoPlace(f"{document.path}: {url} is the only one thanked")
    return _replaced(document, start, end, _join(kept, comma))


def _list(document: Document) -> tuple[list[str], tuple[int, int], str]:
    """The links, where their list stands in the text, and what stands before the last `and` of three or more."""
    found = document.find(*KEYS)
    if found is None or not isinstance(found[1], yaml.ScalarNode) or found[1].style != "|":
        raise NoPlace(f"{document.path} has no {'.'.join(KEYS)} in a `|` block")
    start, end = value_span(document, found)
    lists = list(LIST.finditer(document.text, start, end))
    if len(lists) != 1:
        raise NoPlace(f"{document.path}: {len(lists)} lists of thanks in {KEYS[-1]}, needed is one")
    words = lists[0].group()
    links = re.findall(LINK, words)
    comma = "" if len(links) > 2 and f", and {links[-1]}" not in words else ","
    if _join(links, comma) != words:
        raise NoPlace(
            f"{document.path}:{document.line(found[0])}: the list of thanks is joined in an unknown way"
        )
    return links, lists[0].span(), comma


def _join(links: list[str], comma: str) -> str:
    if len(links) < 3:
        return " and ".join(links)
    return f"{', '.join(links[:-1])}{comma} and {links[-1]}"


def _replaced(document: Document, start: int, end: int, words: str) -> str:
    text = document.text
    after = text[:start] + words + text[end:]
    found = document.find(*KEYS)
    assert found is not None
    value = str(found[1].value).replace(text[start:end], words)
    gone, new = changed_lines(text, after)
    if (len(gone), len(new)) != (1, 1):
        raise NoPlace(f"{document.path}: the list of thanks is not on one line")
    guard(document.path, text, after, Intent(KEYS, value, tuple(gone), tuple(new)))
    return after


def _meant(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url.strip() if "://" in url else f"https://{url.strip()}")
    except ValueError:
        return url, ""
    host = (parts.hostname or "").rstrip(".").removeprefix("www.")
    return host, f"{parts.path.rstrip('/')}?{parts.query}"


def _href(link: str) -> str:
    return html.unescape(link.partition('"')[2].partition('"')[0])
