"""All that was seen of one member by `federation check`, as frozen data; `checks.federation` judges it.

How tokens are made and checked: BinderHub b9fad995, binderhub/base.py and main.py. The page signs a token for
`provider/spec` and the page's own origin; a member that has another secret refuses it, one that gets none does not ask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from binderbox.decide import urls
from binderbox.federation.members.observed import Observed
from binderbox.federation.redirector.config import HostEntry, RedirectorConfig
from binderbox.federation.redirector.rules import Standing
from binderbox.launch.visitor import BuildSeen
from binderbox.output.results import CheckResult

REPOSITORY = (
    "https://github.com/binder-examples/requirements"  # what the federation's own deployment launches
)
REF = "50533eb"  # mybinder.org-deploy 95860dbc, .github/workflows/cd.yml
NO_SUCH_REF = "no-such-branch-asked-by-binderbox"  # ends after the token was looked at, before any build


@dataclass(frozen=True)
class MemberLook:
    """`standing` is by the redirector's rules; `reference` the prime's versions, None with `reference_error` if unknown.

    `twins` are members with the same address under another name; `certificate` is why those do not accept it who have not
    the member's own authority; `firewall` are the proofs on the host, None: not reached.
    """

    entry: HostEntry
    config: RedirectorConfig
    observed: Observed
    standing: Standing
    listed: bool
    reference: Any = None
    reference_error: str = ""
    twins: tuple[str, ...] = ()
    certificate: str = ""
    build: BuildSeen | None = None
    firewall: tuple[CheckResult, ...] | None = None


@dataclass(frozen=True)
class MemberCheck:
    """The answer of `federation check`. `receives`: by the rules it gets launches; `succeeds`: one of them worked."""

    target: str
    name: str
    url: str
    standing: Standing
    checks: tuple[CheckResult, ...]
    quota: int | None = None

    @property
    def receives(self) -> bool:
        return self.standing.active

    @property
    def ready(self) -> bool:
        """Nothing fails, and the two that can be skipped and must not be were seen: the token and the launch."""
        verdicts = {one.id: one.verdict for one in self.checks}
        return (
            self.receives
            and "fail" not in verdicts.values()
            and all(verdicts.get(must) == "pass" for must in ("BBX-F11", "BBX-F12"))
        )


def make_entry(name: str, url: str, weight: float = 5) -> HostEntry:
    """A member that no configuration has yet. Raises ValueError for what is no https address of a host.

    Weight 5 is what new members start with: mybinder.org-deploy 95860dbc, docs/source/operation_guide/federation.md.
    """
    parts = urlsplit(url.strip())
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is no address of a member")
    if parts.username or parts.password:
        raise ValueError("an address of a member holds no user and no password")
    url = urls.canonical(url)
    return HostEntry(name or parts.hostname, url, weight, f"{url}/health", f"{url}/versions")


def twins_of(config: RedirectorConfig, entry: HostEntry) -> tuple[str, ...]:
    """Other names under which the same address is in the configuration."""
    there = urls.place(entry.url)
    return tuple(one.name for one in config.hosts if one.name != entry.name and urls.place(one.url) == there)
