"""A host as plain answers: what a Probe would have seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from binderbox import layout
from binderbox.artifacts.resolve import Artifact
from binderbox.checks.probe import Answer, Bucket, Calls, FileInfo, Outside, Reached, UnitState
from binderbox.decide.facts import HostFacts, Listener, Reach
from binderbox.errors import Unhealthy
from binderbox.member.model import Member

GOOD = HostFacts(
    name="host.example",
    os_id="debian",
    os_version="12",
    arch="x86_64",
    kernel="6.1.0-30-amd64",
    cpus=4,
    ram_gb=16.6,
    swap_gb=0.0,
    disk_gb=160.0,
    disk_free_gb=150.0,
    fsync_ms=1.2,
    clock_offset_s=0.1,
    clock_synced=True,
    cgroup_version=2,
    missing_modules=(),
    missing_packages=(),
    listeners=(Listener(22, "tcp", "0.0.0.0", "sshd", 700, "ssh.service"),),
    outbound=(Reach("github.com:443", True),),
    resolvers=("9.9.9.9",),
    address="203.0.113.7",
    interface="eth0",
    addresses=("203.0.113.7", "2001:db8::7"),
    sudo=True,
    host_name="n1",
)


def facts(**changes: Any) -> HostFacts:
    return replace(GOOD, **changes)


def artifact(name: str, version: str = "v1.36.4+k3s1", **more: Any) -> Artifact:
    return Artifact(name, "file", "0" * 64, "https://example.org", version, **more)


@dataclass
class FakeProbe:
    """Answers from dictionaries; what has no answer raises, as a probe does that cannot ask."""

    facts: HostFacts = GOOD
    member: Member = field(default_factory=lambda: Member(domain="binder.example.org"))
    artifacts: Mapping[str, Artifact] = field(default_factory=lambda: {"k3s": artifact("k3s")})
    plan: Any = None
    launch: Any = None
    units: Mapping[str, UnitState] = field(default_factory=dict)
    paths: Mapping[str, FileInfo] = field(default_factory=dict)
    records: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    answers: Mapping[str, Answer] = field(default_factory=dict)
    objects: Mapping[str, Any] = field(default_factory=dict)
    log: tuple[str, ...] = ()
    calls: Calls | None = None
    said: Mapping[str, str] | None = None
    tried: Mapping[str, Any] | None = None
    guard: Mapping[str, Any] | None = None
    swept: Mapping[str, Any] | None = None
    looked: Mapping[str, Any] | None = None
    outside_found: Outside | None = None
    told: tuple[Mapping[str, str], ...] | None = None  # by any program of the node
    pinned: tuple[str, ...] = ()
    upstream: Mapping[str, tuple[str, str]] | None = None
    lost: Mapping[str, Reached] = field(
        default_factory=dict
    )  # what cannot be reached from the host, by address
    loaded: Mapping[str, str] = field(default_factory=lambda: {layout.BUILDS_PROFILE: "enforce"})
    held: Mapping[str, int] = field(default_factory=dict)  # by files of the kernel
    outside: Answer | None = None  # what is got at port 80 of the name; None: what the host serves there
    asked: list[str] = field(default_factory=list)

    def tried_abuse(self) -> Mapping[str, Any] | None:
        return self.tried

    def guarded(self) -> Mapping[str, Any] | None:
        return self.guard

    def told_in(self, status_file: str) -> tuple[Mapping[str, str], ...] | None:
        return self.told

    def followed(self) -> Mapping[str, Any] | None:
        return None

    def forgets(self) -> Mapping[str, Any] | None:
        return self.swept

    def disk(self) -> Mapping[str, Any] | None:
        return self.looked

    def watched(self) -> Mapping[str, str] | None:
        return self.said

    def unit(self, name: str) -> UnitState:
        return self.units.get(name, UnitState(name, "not-found", "inactive"))

    def files(self, paths: Sequence[str]) -> Mapping[str, FileInfo | None]:
        return {path: self.paths.get(path) for path in paths}

    def journal(self, unit: str, lines: int) -> tuple[str, ...]:
        return ()

    def sysctls(self, names: Sequence[str]) -> Mapping[str, str]:
        return {name: {"fs.inotify.max_user_instances": "128"}.get(name, "1") for name in names}

    def profiles(self) -> Mapping[str, str]:
        return self.loaded

    def numbers(self, paths: Sequence[str]) -> Mapping[str, int]:
        return {path: number for path, number in self.held.items() if path in paths}

    def nft_tables(self) -> tuple[str, ...]:
        return ("inet binderbox", "inet binderbox-backstop")

    def reach(self, urls: Sequence[str]) -> tuple[Reached, ...]:
        self.asked += urls
        return tuple(self.lost.get(url, Reached(url, 0)) for url in urls)

    def github_calls(self) -> Calls:
        if self.calls is None:
            raise Unhealthy("GitHub gave no answer")
        return self.calls

    def dns(self, name: str, kind: str) -> tuple[str, ...]:
        self.asked.append(f"{name} {kind}")
        label, _, rest = name.partition(".")
        wildcard = self.records.get((f"*.{rest}", kind), ()) if label not in ("hub", "binder") else ()
        return self.records.get((name, kind), wildcard)

    def port_80(self, url: str, path: str, token: str) -> Answer:
        if self.outside is None:
            return Answer(url, 200, body=f"{token}\n")
        return self.outside

    def http(self, url: str) -> Answer:
        return self.answers.get(url, Answer(url, 0, error="connection refused"))

    def kubectl_json(self, args: Sequence[str]) -> Any:
        return self.objects[" ".join(args)]

    def pod_log(self, namespace: str, selector: str, lines: int) -> tuple[str, ...]:
        return self.log

    def cluster_dns(self, name: str) -> tuple[str, ...]:
        return ("10.43.0.1",)

    def registry(self, path: str, *, credential: bool) -> Answer:
        return Answer(path, 200 if credential else 401)

    def binder(self, path: str) -> Answer:
        return self.answers.get(path, Answer(path, 0, error="connection refused"))

    def outside_store(self) -> Outside:
        assert self.outside_found
        return self.outside_found

    def bucket(self) -> Bucket:
        return Bucket(200, 403)

    def builder_workers(self) -> tuple[Mapping[str, str], ...]:
        return ()

    def pinned_images(self) -> tuple[str, ...]:
        return self.pinned
