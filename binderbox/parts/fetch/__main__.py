"""What an install runs on the node.

    file URL SHA256 PATH     have this file
    image EXACT NAME         have this image under this name
    archive PATH NAME...     have these images of an archive in k3s's folder
    ahead FILE               have everything that FILE lists, so that an install finds it there
    progress FILE            say what of it is being fetched, how fast, and how long it will take

`ahead` is a list of such argument lists in JSON. It ends well whatever it could not bring: the install asks for each
by itself, and tells why it cannot be had.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from binderbox import layout
from binderbox.parts.fetch import fetching, importing, pulling, telling
from binderbox.parts.fetch.fetching import FetchFailed

AT_ONCE = 3
AHEAD_EVERY_S = 2.0  # nobody waits for it, and the install needs the processors
CONTAINERD_S = 3600


def run(words: list[str], every_s: float = importing.EVERY_S) -> None:
    what, *rest = words
    if what == "file":
        url, sha256, path = rest
        fetching.fetch(url, sha256, path)
    elif what == "image":
        exact, name = rest
        pulling.pull(exact, name)
    elif what == "archive":
        importing.imported(rest[0], rest[1:], every_s)
    else:
        raise SystemExit(__doc__)


def ahead(path: str) -> None:
    """The first file alone, as an install waits for it; then others in order, and images once containerd is there.

    Archives one after another: what unpacks them is containerd, which the phases need meanwhile.
    """
    with open(path) as file:
        wanted: list[list[str]] = json.load(file)
    files = [one for one in wanted if one[0] == "file"]
    images = [one for one in wanted if one[0] == "image"]
    archives = [one for one in wanted if one[0] == "archive"]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for first in files[:1]:
            _quietly(first)
        done = [pool.submit(_quietly, one) for one in files[1:]]
        deadline = time.monotonic() + CONTAINERD_S
        while (
            (images or archives)
            and not os.path.exists(layout.CONTAINERD_SOCKET)
            and time.monotonic() < deadline
        ):
            time.sleep(0.5)
        done += [pool.submit(_quietly, one) for one in images]
        for one in archives:
            _quietly(one, AHEAD_EVERY_S)
        for future in done:
            future.result()


def _quietly(words: list[str], every_s: float = importing.EVERY_S) -> None:
    try:
        run(words, every_s)
    except (FetchFailed, OSError) as error:
        print(error, file=sys.stderr, flush=True)


def with_proxy(path: str = layout.PROXY_FILE) -> None:
    """Let curl and ctr, which this program starts, ask by the site's proxy."""
    try:
        with open(path) as file:
            for line in file:
                name, there, value = line.rstrip("\n").partition("=")
                if there:
                    os.environ[name] = value
    except FileNotFoundError:
        pass


def main(words: list[str]) -> None:
    with_proxy()
    if words[:1] == ["ahead"]:
        ahead(words[1])
        return
    if words[:1] == ["progress"]:
        print(telling.progress(words[1]))
        return
    try:
        run(words)
    except (FetchFailed, OSError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main(sys.argv[1:])
