"""One image, by its digest, into k3s's containerd: pinned against image GC, and under the name that it is run by.

containerd keeps what an interrupted pull brought and goes on from there.
"""

from __future__ import annotations

import subprocess
import time

from binderbox import layout
from binderbox.parts.fetch.fetching import FetchFailed, alone

CTR = (layout.K3S, "ctr", f"--address={layout.CONTAINERD_SOCKET}", "--namespace=k8s.io")
HOSTS = f"{layout.K3S_DATA}/agent/etc/containerd/certs.d"  # what k3s makes of registries.yaml
PINNED = f"{layout.IMAGE_PIN}=pinned"
PULL_S, LOOK_S = 3600, 60
TRIES, PAUSE_S = 5, 2.0


def pull(exact: str, name: str) -> None:
    """Have the image `repository@sha256:...` here as `name`, which may be the same; raises FetchFailed."""
    with alone(f"{layout.FETCH_RUN}/{exact.rpartition(':')[2]}.lock"):
        if not is_whole(exact):
            _pull(exact)
        digest = exact.rpartition("@")[2]
        if name != exact and digest_of(name) != digest:
            ctr("images", "tag", "--force", exact, name)
        for one in dict.fromkeys((exact, name)):
            if (found := digest_of(one)) != digest:
                raise FetchFailed(f"{one}: expected {digest}, found {found or 'nothing'}")
            if not is_pinned(one):
                ctr("images", "label", one, PINNED)


def _pull(exact: str) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            ctr("images", "pull", "--local", "--hosts-dir", HOSTS, "--label", PINNED, exact, timeout_s=PULL_S)
            return
        except FetchFailed:
            if attempt == TRIES:
                raise
            time.sleep(PAUSE_S * 2**attempt)


def is_whole(exact: str) -> bool:
    """Whether containerd has all of it, unpacked: a power cut may leave a name without its content."""
    for line in ctr("images", "check", f'name=="{exact}"').splitlines()[1:]:
        words = line.split()
        if words[0] == exact and "complete" in words and words[-1] == "true":
            return True
    return False


def digest_of(name: str) -> str:
    """`sha256:...` of what this name is here, or nothing."""
    return next((word for word in _row(name) if word.startswith("sha256:")), "")


def is_pinned(name: str) -> bool:
    return PINNED in ",".join(_row(name)).split(",")


def _row(name: str) -> list[str]:
    rows = [line.split() for line in ctr("images", "list", f'name=="{name}"').splitlines()[1:]]
    return next((words for words in rows if words and words[0] == name), [])


def ctr(*words: str, timeout_s: float = LOOK_S) -> str:
    try:
        done = subprocess.run([*CTR, *words], capture_output=True, text=True, check=False, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise FetchFailed(f"ctr {' '.join(words)}: not finished within {timeout_s:.0f} s") from error
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        raise FetchFailed(f"ctr {' '.join(words[:2])} {words[-1]}: {lines[-1] if lines else done.returncode}")
    return done.stdout
