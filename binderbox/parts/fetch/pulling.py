"""One image, by its digest, into k3s's containerd: pinned against image GC, and under the name that it is run by.

containerd keeps what an interrupted pull brought and goes on from there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time

from binderbox import layout
from binderbox.parts.fetch import limits, login
from binderbox.parts.fetch.fetching import FetchFailed, alone, shown

CTR = (layout.K3S, "ctr", f"--address={layout.CONTAINERD_SOCKET}", "--namespace=k8s.io")
HOSTS = f"{layout.K3S_DATA}/agent/etc/containerd/certs.d"  # what k3s makes of registries.yaml
PINNED = f"{layout.IMAGE_PIN}=pinned"
PULL_S, LOOK_S = 3600, 60  # all tries together, and one question
TRIES, PAUSE_S = 5, 2.0
LIMITED = ("429 Too Many Requests", "toomanyrequests", "TOOMANYREQUESTS")
FULL = "no space left on device"


def pull(exact: str, name: str) -> None:
    """Have the image `repository@sha256:...` here as `name`, which may be the same; raises FetchFailed."""
    with alone(f"{layout.FETCH_RUN}/{exact.rpartition(':')[2]}.lock") as lock:
        digest = exact.rpartition("@")[2]
        if digest_of(name) != digest or not is_whole(name):
            if not is_whole(exact):
                _pull(exact, lock)
            if name != exact:
                ctr("images", "tag", "--force", exact, name)
        if (found := digest_of(name)) != digest:
            raise FetchFailed(f"{name}: expected {digest}, found {found or 'nothing'}")
        if not is_pinned(name):
            ctr("images", "label", name, PINNED)


def _pull(exact: str, lock: int) -> None:
    deadline = time.monotonic() + PULL_S
    for attempt in range(1, TRIES + 1):
        try:
            with login.hosts(exact, HOSTS) as directory:
                words = ["images", "pull", "--local", "--hosts-dir", directory, "--label", PINNED, exact]
                ctr(*words, timeout_s=max(1.0, deadline - time.monotonic()), lock=lock)
            return
        except FetchFailed as error:
            if FULL in str(error):
                free = shutil.disk_usage(_there(layout.K3S_DATA)).free
                raise FetchFailed(f"{error}: more needed, {shown(free)} free") from error
            if any(one in str(error) for one in LIMITED):  # Docker Hub's, by address, for six hours
                limit = limits.told(exact)
                raise FetchFailed(
                    f"{error}{f' (the limit: {limit})' if limit else ''}; wait, name a mirror of it in the config (mirrors), or for docker.io give an account: "
                    f"binderbox secrets set HOST {layout.DOCKER_LOGIN}"
                ) from error
            pause_s = PAUSE_S * 2**attempt
            if attempt == TRIES or time.monotonic() + pause_s > deadline:
                raise
            time.sleep(pause_s)


def _there(path: str) -> str:
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def is_whole(exact: str) -> bool:
    """Whether containerd has all of it, unpacked: a power cut may leave a name without its content.

    Where that is its configuration, ctr does not say `incomplete` but fails.
    """
    try:
        table = ctr("images", "check", f'name=="{exact}"')
    except FetchFailed:
        return False
    for line in table.splitlines()[1:]:
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


def ctr(*words: str, timeout_s: float = LOOK_S, lock: int | None = None) -> str:
    held = () if lock is None else (lock,)
    try:
        done = subprocess.run(
            [*CTR, *words], capture_output=True, text=True, check=False, timeout=timeout_s, pass_fds=held
        )
    except subprocess.TimeoutExpired as error:
        raise FetchFailed(f"ctr {' '.join(words)}: not finished within {timeout_s:.0f} s") from error
    if done.returncode:
        raise FetchFailed(f"ctr {' '.join(words[:2])} {words[-1]}: {_reason(done.stderr) or done.returncode}")
    return done.stdout


def _reason(stderr: str) -> str:
    """What ctr says of itself, among the warnings that it passes on."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    own = [line for line in lines if line.startswith("ctr: ")]
    return (own or lines or [""])[-1]
