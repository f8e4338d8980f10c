"""A small deployment repository as git has it, for tests of what is written into one."""

from __future__ import annotations

import subprocess
from pathlib import Path

from binderbox.federation.deployrepo.tree import CHART, CONFIG, DOCS, VALUES

FILES = {
    CONFIG: """\
# the federation
prometheus:
  server:
    retention: 90d
federationRedirect:
  enabled: true
  hosts:
    first:
      prime: true
      url: {first}
      weight: 50
      health: {first}/health
      versions: {first}/versions
    second:
      prime: false
      url: {second}
      weight: 30   # bigger since May
      health: {second}/health
      versions: {second}/versions
""",
    VALUES: """\
binderhub:
  config:
    BinderHub:
      banner_message: |
        Thanks to <a href="https://one.example.org">One</a> for supporting us!
federationRedirect:
  check:
    period: 15
    timeout: 5
  load_balancer: random
  hosts: {{}}
""",
    CHART: "name: mybinder\n",
    DOCS: "# The federation\n\nText.\n",
}


def git(path: Path, *args: str) -> str:
    done = subprocess.run(["git", "-C", str(path), *args], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def make_checkout(
    path: Path, first: str = "https://first.example.org", second: str = "https://second.example.org"
) -> Path:
    """A repository with one commit on `main`, and a name to commit as."""
    path.mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    git(path, "config", "user.name", "Somebody")
    git(path, "config", "user.email", "somebody@example.org")
    for name, text in FILES.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text.format(first=first, second=second))
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "All of it")
    return path
