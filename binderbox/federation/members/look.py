"""All that was seen of one member by `federation check`, as frozen data; `checks.federation` judges it.

How tokens are made and checked: BinderHub b9fad995, binderhub/base.py and main.py. The page signs a token for
`provider/spec` and the page's own origin; a member that has another secret refuses it, one that gets none does not ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from binderbox.federation.members.observed import Observed
from binderbox.federation.redirector.config import HostEntry, RedirectorConfig
from binderbox.federation.redirector.rules import Standing
from binderbox.output.results import CheckResult

REPOSITORY = (
    "https://github.com/binder-examples/requirements"  # what the federation's own deployment launches
)
REF = "50533eb"  # mybinder.org-deploy 95860dbc, .github/workflows/cd.yml
NO_SUCH_REF = "no-such-branch-asked-by-binderbox"  # ends after the token was looked at, before any build


@dataclass(frozen=True)
class BuildSeen:
    """One GET of the member's /build, with a token of the prime's page if there was one.

    `whole` False: only knocked, with a branch that does not exist. Times are seconds since the request. `refused` is the
    status of a `failed` event, 0 without one; `error` says why there was no stream. `client_ip` is the member's word
    for who asked, `own_ip` our end of the connection; `server` is "" when the notebook's server answered, else why not.
    """

    whole: bool
    with_token: bool
    no_token_because: str = ""
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    refused: int = 0
    failure: str = ""
    error: str = ""
    first_event_s: float | None = None
    ready_s: float | None = None
    client_ip: str = ""
    own_ip: str = ""
    server: str = ""


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
    url = url.strip().rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is no address of a member")
    if parts.username or parts.password:
        raise ValueError("an address of a member holds no user and no password")
    return HostEntry(name or parts.hostname, url, weight, f"{url}/health", f"{url}/versions")


def origin_of(url: str) -> str:
    """What a browser sends as Origin from a page of this address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def twins_of(config: RedirectorConfig, entry: HostEntry) -> tuple[str, ...]:
    """Other names under which the same host is in the configuration."""
    host = urlsplit(entry.url).netloc
    return tuple(
        one.name for one in config.hosts if one.name != entry.name and urlsplit(one.url).netloc == host
    )
