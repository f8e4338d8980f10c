"""The account at docker.io that an operator gave: a token for one repository, for one pull.

ctr takes a credential as an argument, which every user of the host could read; a file of hosts may have a header instead.
docker.io takes no password there but a token, which is had with one, and lives for minutes.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from binderbox import layout
from binderbox.parts.fetch.fetching import FetchFailed

NAMESPACE, SERVER = "docker.io", "https://registry-1.docker.io"
TOKENS, SERVICE = "https://auth.docker.io/token", "registry.docker.io"
ASK_S = 60
SECRET = f"{layout.SECRETS}/{layout.DOCKER_LOGIN}"
WORDS = ("curl", "--disable", "--silent", "--show-error", "--fail", "--proto", "=https", "--config", "-")


@contextmanager
def hosts(exact: str, known: str) -> Iterator[str]:
    """A directory of registries for a pull of this image: `known`, or one like it with a token; raises FetchFailed."""
    account = login() if exact.startswith(f"{NAMESPACE}/") else ""
    if not account:
        yield known
        return
    repository = exact.removeprefix(f"{NAMESPACE}/").partition("@")[0]
    with tempfile.TemporaryDirectory(prefix="binderbox-hosts-", dir=layout.FETCH_RUN) as directory:
        if Path(known).is_dir():
            shutil.copytree(known, directory, dirs_exist_ok=True)
        file = Path(directory, NAMESPACE, "hosts.toml")
        file.parent.mkdir(exist_ok=True)
        rest = file.read_text() if file.exists() else f'server = "{SERVER}"\n'
        # tables of the file itself are of its `server`; mirrors stand in tables of their own, and get no token
        head, there, tables = rest.partition("[host.")
        file.write_text(
            f'{head}\n[header]\nAuthorization = "Bearer {token(repository, account)}"\n\n{there}{tables}'
        )
        yield directory


def token(repository: str, account: str) -> str:
    """One that pulls this repository, for nobody's account if none is given. The login goes to curl where no list of
    processes shows it."""
    quoted = account.replace("\\", "\\\\").replace('"', '\\"')
    asked = f'url = "{TOKENS}?service={SERVICE}&scope=repository:{repository}:pull"\n'
    asked += f'user = "{quoted}"\n' if account else ""
    try:
        done = subprocess.run(
            [*WORDS, "--max-time", str(ASK_S)],
            input=asked,
            capture_output=True,
            text=True,
            timeout=ASK_S + 10,
        )
        if done.returncode:
            raise FetchFailed(f"{TOKENS}: {done.stderr.strip()[-200:]}; see the secret {layout.DOCKER_LOGIN}")
        found = json.loads(done.stdout)
        made = str(found.get("token") or found["access_token"])
    except (ValueError, KeyError, AttributeError, subprocess.TimeoutExpired) as error:
        raise FetchFailed(f"{TOKENS}: expected a token, found {type(error).__name__}") from error
    if not made.isascii() or not made.isprintable() or '"' in made or "\\" in made:
        raise FetchFailed(f"{TOKENS}: what it gave is no token")
    return made


def login() -> str:
    """`user:token` of the operator's account, or nothing."""
    try:
        return Path(SECRET).read_text().strip()
    except FileNotFoundError:
        return ""
