"""What docker.io lets one address or account pull, asked only once it has refused: the figure changes with its plans."""

from __future__ import annotations

import re
import subprocess

from binderbox.parts.fetch import login
from binderbox.parts.fetch.fetching import FetchFailed

ASK_S = 20
_TOLD = re.compile(
    r"^ratelimit-limit:\s*(\d+)(?:;w=(\d+))?", re.I | re.M
)  # docs.docker.com, "Pull usage and limits"


def told(exact: str) -> str:
    """`100 pulls in 6 h for this address`, from the answer to a question that does not count as a pull; nothing if it says none."""
    if not exact.startswith(f"{login.NAMESPACE}/"):
        return ""
    repository, _, digest = exact.removeprefix(f"{login.NAMESPACE}/").partition("@")
    account = login.login()
    try:
        asked = f'url = "{login.SERVER}/v2/{repository}/manifests/{digest}"\n'
        asked += f'header = "Authorization: Bearer {login.token(repository, account)}"\n'
        words = [*(one for one in login.WORDS if one != "--fail"), "--head", "--max-time", str(ASK_S)]
        done = subprocess.run(
            words, input=asked, capture_output=True, text=True, timeout=ASK_S + 10, check=False
        )
    except (FetchFailed, subprocess.TimeoutExpired):
        return ""
    found = _TOLD.search(done.stdout)
    if not found:
        return ""
    hours = f" in {int(found[2]) / 3600:g} h" if found[2] else ""
    return f"{found[1]} pulls{hours} for {'this account' if account else 'this address'}"
