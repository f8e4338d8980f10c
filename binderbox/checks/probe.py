"""What checks may ask of the world: a Protocol that `commands.probe` fulfils, and the frozen answers.

No answer ever holds a secret: files come as metadata, registry and bucket are asked with credentials that stay
inside the probe. A question that cannot be asked raises a BinderboxError with cause and remedy; a clear "no" (no such
name, no such file, connection refused by a closed port) is an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from binderbox.artifacts.resolve import Artifact
    from binderbox.decide.facts import HostFacts
    from binderbox.decide.sizing import Sizing
    from binderbox.member.model import Member
    from binderbox.output.results import Proof


@dataclass(frozen=True)
class UnitState:
    """A systemd unit as `systemctl show` has it; `load` is "not-found" where there is none.

    `memory_max` in bytes, None for infinity. `log` holds the journal's last lines of a unit that is not active.
    """

    name: str
    load: str
    active: str
    sub: str = ""
    result: str = ""
    memory_max: int | None = None
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileInfo:
    """A path without its content: `kind` is file, directory, socket, link or other; `mode` the permission bits."""

    path: str
    kind: str
    mode: int
    owner: str
    size: int = 0


@dataclass(frozen=True)
class Certificate:
    """What a TLS server showed. `trusted` against the member's own authority or the system's; else `error`."""

    names: tuple[str, ...]
    issuer: str
    days_left: float
    trusted: bool
    error: str = ""
    life_days: float = 90.0


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, redirects not followed. `status` 0: no answer, and `error` says why."""

    url: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    body: str = ""
    error: str = ""
    certificate: Certificate | None = None


@dataclass(frozen=True)
class Bucket:
    """What the object store answered the registry's key: HTTP statuses, for its own bucket and for one that is not its own."""

    own: int
    other: int


@dataclass(frozen=True)
class Outside:
    """What a bucket of somebody's S3 answered the registry's key, asked from the node: HTTP statuses, 0 for none.

    + error: why nobody answered; status, code: of a listing, and S3's word for what is wrong; region: where it says it is
    + put, get, uploads, delete, after: of an object of 16 MB, an upload in parts, and the object once it is deleted
    + expires: rules of the bucket that delete what the registry holds, where the key may read them
    + busy: answers of 429 and 503 among 20; offset_s: the node's clock ahead of the store's; owner: "" for nobody yet, and
      owner_told: the answer's status
    """

    error: str
    status: int
    code: str
    region: str
    put: int
    get: int
    uploads: int
    delete: int
    after: int
    put_mb_s: float
    get_mb_s: float
    latency_ms: int
    busy: int
    versioned: bool
    expires: tuple[str, ...]
    offset_s: float | None
    owner: str
    owner_told: int


@dataclass(frozen=True)
class Calls:
    """GitHub's answer to "how many calls are left this hour", asked from the host."""

    left: int
    limit: int


@dataclass(frozen=True)
class Reached:
    """What came of asking a place from the host: `code` is curl's, 0 for an answer.

    `address` answered, where that is known; `signed` is who signed a certificate that is not trusted. `status` is
    the answer's, 0 where none is known, and `kind` its content type.
    """

    url: str
    code: int
    said: str = ""
    signed: str = ""
    address: str = ""
    status: int = 0
    kind: str = ""


class Skip(Exception):
    """Raised by a `look` for what does not apply here; the text is the reason that the user sees."""


class Planned(Protocol):
    """What checks compare the world with: the figures, the kubelet's settings as text, the kernel's by name."""

    @property
    def sizing(self) -> Sizing: ...
    @property
    def kubelet(self) -> str: ...
    @property
    def sysctls(self) -> Mapping[str, int]: ...


class Probe(Protocol):
    """One host, seen through one connection. `plan` is None before there is one."""

    @property
    def facts(self) -> HostFacts: ...
    @property
    def member(self) -> Member: ...
    @property
    def artifacts(self) -> Mapping[str, Artifact]: ...
    @property
    def plan(self) -> Planned | None: ...
    @property
    def upstream(self) -> Mapping[str, tuple[str, str]] | None:
        """Name to what is recorded of an artifact and what its publisher states now; None when nobody was asked."""
        ...

    @property
    def launch(self) -> Proof | None:
        """What the proof at the end of an install saw; None when none was run."""
        ...

    # on the host
    def unit(self, name: str) -> UnitState: ...
    def files(self, paths: Sequence[str]) -> Mapping[str, FileInfo | None]: ...
    def journal(self, unit: str, lines: int) -> tuple[str, ...]: ...
    def sysctls(self, names: Sequence[str]) -> Mapping[str, str]:
        """The kernel's settings, "" for one that it does not have."""

    def numbers(self, paths: Sequence[str]) -> Mapping[str, int]:
        """What each of these files holds, of those that are there and hold one number."""

    def profiles(self) -> Mapping[str, str]:
        """AppArmor's profiles that are loaded, each with its mode."""

    def nft_tables(self) -> tuple[str, ...]:
        """Families and names, e.g. "inet binderbox"."""

    def reach(self, urls: Sequence[str]) -> tuple[Reached, ...]:
        """Ask each place from the host, all at once; `extra_ca` counts."""

    def github_calls(self) -> Calls: ...
    def watched(self) -> Mapping[str, str] | None:
        """What the node's watch said last: `verdict` and `why`; None before its first look."""

    def tried_abuse(self) -> Mapping[str, Any] | None:
        """What the node's abuse check found last: `at`, `good`, `of`, `faults`, `why` it could not be made; None before the first."""

    def guarded(self) -> Mapping[str, Any] | None:
        """What the node saw of cryptnono last, as jobs/guard.py keeps it; None before the first look."""

    def followed(self) -> Mapping[str, Any] | None:
        """What the node's follower said last, with `guard` for cryptnono; None before its first run."""

    def forgets(self) -> Mapping[str, Any] | None:
        """What the registry's last sweep found and took, as jobs/retention.py keeps it; None before the first."""

    def outside_store(self) -> Outside:
        """What the config's own object store lets the registry do; writes there and takes it away again."""

    def disk(self) -> Mapping[str, Any] | None:
        """What the node's disk job saw and did last, as jobs/disk.py keeps it; None before the first look."""

    def told_in(self, status_file: str) -> tuple[Mapping[str, str], ...] | None:
        """What a program of the node did in the last day to protect it: `what`, `why`, `times`; None where it does not run."""

    # from the user's side
    def dns(self, name: str, kind: str) -> tuple[str, ...]:
        """Public DNS as this client sees it; () where the name or the record does not exist."""

    def port_80(self, url: str, path: str, token: str) -> Answer:
        """What is at `url`, while the host answers `token` at `path` of its port 80."""

    def http(self, url: str) -> Answer:
        """As a browser would, except that a demo name leads to the host without asking DNS."""

    # in the cluster
    def kubectl_json(self, args: Sequence[str]) -> Any:
        """`kubectl ARGS -o json`, or the raw answer of `get --raw PATH`, parsed."""

    def pod_log(self, namespace: str, selector: str, lines: int) -> tuple[str, ...]: ...
    def cluster_dns(self, name: str) -> tuple[str, ...]:
        """The cluster's own resolver, asked from the node."""

    def registry(self, path: str, *, credential: bool) -> Answer:
        """GET on the registry's address inside the node, with or without its credential."""

    def binder(self, path: str) -> Answer:
        """GET on BinderHub behind the ingress, asked from the node."""

    def bucket(self) -> Bucket: ...
    def builder_workers(self) -> tuple[Mapping[str, str], ...]:
        """The labels of each worker of buildkitd, e.g. `org.mobyproject.buildkit.worker.containerd.namespace`."""

    def pinned_images(self) -> tuple[str, ...]:
        """Names of the images in containerd's namespace k8s.io that no image GC takes away."""
