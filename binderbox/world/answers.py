"""The answers to what checks ask: one host, seen through one connection and from the user's side."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from binderbox import layout
from binderbox.checks.probe import Answer, Bucket, Calls, FileInfo, Outside, Skip, UnitState
from binderbox.decide.facts import HostFacts
from binderbox.errors import NoAnswer, Unhealthy
from binderbox.member.model import Member
from binderbox.world import cluster, jobs, units
from binderbox.world.host import port_80
from binderbox.world.host.hosts import Host
from binderbox.world.host.numbers import parse_numbers
from binderbox.world.host.profiles import parse_profiles
from binderbox.world.objects import Objects
from binderbox.world.s3.outside import looked
from binderbox.world.s3.seen import seen_by_its_key, seen_outside

if TYPE_CHECKING:  # what asks over HTTP and DNS takes as long to import as a look at a host
    from binderbox.world.http.web import Web

FILE_KINDS = {"directory": "directory", "socket": "socket", "symbolic link": "link"}
GITHUB = "https://api.github.com/rate_limit"  # asking costs no call


LOOK_S = 20  # one look at most: what waits for many of them must end in its own time


@dataclass(frozen=True)
class HostAnswers:
    """What of `checks.probe.Probe` the host, its cluster and its public names answer by themselves."""

    host: Host
    facts: HostFacts
    member: Member
    # what is known of the cluster already, for one look at a moment; None: kubectl is asked each time
    at_once: Objects | None = field(default=None, kw_only=True)
    # and of systemd's units that are active
    shown: Mapping[str, UnitState] = field(default_factory=dict, kw_only=True)
    # and of what jobs keep, by path
    kept: Mapping[str, Any] | None = field(default=None, kw_only=True)

    def unit(self, name: str) -> UnitState:
        known = self.shown.get(name)
        if known is None or known.active != "active":
            known = units.show(self.host, (name,)).get(name, UnitState(name, "not-found", "unknown"))
        return known if known.active == "active" else replace(known, log=self.journal(name, 5))

    def files(self, paths: Sequence[str]) -> Mapping[str, FileInfo | None]:
        output = self.host.run(["stat", "-c", "%n|%F|%a|%U|%s", "--", *paths], timeout_s=LOOK_S)
        found: dict[str, FileInfo | None] = dict.fromkeys(paths)
        for line in output.stdout.decode().splitlines():
            name, kind, mode, owner, size = line.rsplit("|", 4)
            kind = "file" if "file" in kind else FILE_KINDS.get(kind, "other")
            found[name] = FileInfo(name, kind, int(mode, 8), owner, int(size))
        return found

    def journal(self, unit: str, lines: int) -> tuple[str, ...]:
        return tuple(
            self._run("journalctl", "-u", unit, "-n", str(lines), "-o", "cat", "--no-pager").splitlines()
        )

    def sysctls(self, names: Sequence[str]) -> Mapping[str, str]:
        told = dict(
            line.split(" = ", 1) for line in self._run("sysctl", "-e", *names).splitlines() if " = " in line
        )
        return {name: told.get(name, "").strip() for name in names}

    def numbers(self, paths: Sequence[str]) -> Mapping[str, int]:
        return parse_numbers(self.host.run(["grep", "-sH", "", *paths], timeout_s=LOOK_S).text)

    def profiles(self) -> Mapping[str, str]:
        return parse_profiles(self.host.run(["cat", "/sys/kernel/security/apparmor/profiles"]).text)

    def nft_tables(self) -> tuple[str, ...]:
        return tuple(
            line.removeprefix("table ").strip() for line in self._run("nft", "list", "tables").splitlines()
        )

    def watched(self) -> Mapping[str, str] | None:
        return self._kept(layout.WATCH_STATE)

    def tried_abuse(self) -> Mapping[str, Any] | None:
        return self._kept(layout.ABUSE_STATE)

    def guarded(self) -> Mapping[str, Any] | None:
        return self._kept(layout.GUARD_STATE)

    def followed(self) -> Mapping[str, Any] | None:
        return self._kept(layout.FOLLOW_STATE)

    def forgets(self) -> Mapping[str, Any] | None:
        return self._kept(layout.RETENTION_STATE)

    def outside_store(self) -> Outside:
        assert self.member.object_store
        return looked(self.host, self.member.object_store, self.member.extra_ca)

    def disk(self) -> Mapping[str, Any] | None:
        return self._kept(layout.DISK_STATE)

    def told_in(self, status_file: str) -> tuple[Mapping[str, str], ...] | None:
        said = self.host.read(status_file)
        if not said:
            return None
        return tuple(
            {key: str(value) for key, value in one.items()} for one in json.loads(said).get("told", ())
        )

    def github_calls(self) -> Calls:
        rate = json.loads(
            self._run(*self.outside("curl", "-fsS", "--connect-timeout", "4", "--max-time", "6", GITHUB))
        )["rate"]
        return Calls(left=int(rate["remaining"]), limit=int(rate["limit"]))

    def outside(self, *argv: str) -> tuple[str, ...]:
        """The command by which the host asks this of the outside."""
        return argv

    def dns(self, name: str, kind: str) -> tuple[str, ...]:
        import dns.exception
        import dns.resolver

        try:
            return tuple(record.to_text() for record in dns.resolver.resolve(name, kind, lifetime=5))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except dns.exception.DNSException as error:
            raise Unhealthy(
                f"DNS gave no answer for {name}", cause=str(error), remedy="try again later"
            ) from error

    def http(self, url: str, timeout_s: float = 15) -> Answer:
        from binderbox.world.http.certificate import seen

        try:
            response = self._web.request("GET", url, timeout_s=timeout_s)
        except NoAnswer as error:
            return Answer(url, 0, error=str(error), certificate=seen(url, self._web))
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(url, response.status_code, headers, response.text, certificate=seen(url, self._web))

    def port_80(self, url: str, path: str, token: str) -> Answer:
        return port_80.asked(self.host, path, token, lambda: self.http(url, port_80.ASK_S))

    def kubectl_json(self, args: Sequence[str]) -> Any:
        if self.at_once is not None and (known := self.at_once.answer(args)) is not None:
            return known
        if list(args[:2]) == ["get", "--raw"]:
            return cluster.raw(self.host, args[2])[0]
        return cluster.kubectl_json(self.host, *args, timeout_s=LOOK_S)

    def pod_log(self, namespace: str, selector: str, lines: int) -> tuple[str, ...]:
        return cluster.pod_log(self.host, namespace, selector, lines)

    def cluster_dns(self, name: str) -> tuple[str, ...]:
        import dns.message
        import dns.query

        with self.host.forward(f"{self.member.networks.cluster_dns}:53") as (address, port):
            question = dns.message.make_query(name, "A")
            answer = dns.query.tcp(question, address, port=port, timeout=5)
        return tuple(record.to_text() for group in answer.answer for record in group)

    def registry(self, path: str, *, credential: bool) -> Answer:
        url = f"http://{self.member.networks.registry_ip}:5000{path}"
        headers = f'header = "Authorization: Basic {self._registry_basic()}"\n' if credential else ""
        return self._curl(url, headers)

    def bucket(self) -> Bucket:
        if store := self.member.object_store:
            return seen_outside(self.host, store)
        return seen_by_its_key(self.host, self._service(layout.NAMESPACE, "objectstore"))

    def builder_workers(self) -> tuple[Mapping[str, str], ...]:
        argv = (
            f"{layout.BIN}/buildctl",
            "--addr",
            f"unix://{layout.BUILDKIT_SOCKET}",
            "debug",
            "workers",
            "--format",
            "{{json .}}",
        )
        workers = json.loads(self._run(*argv))
        return tuple(worker.get("labels") or worker.get("Labels") or {} for worker in workers)

    def pinned_images(self) -> tuple[str, ...]:
        filtered = f'labels."{layout.IMAGE_PIN}"==pinned'
        return tuple(self._run(layout.K3S, "ctr", "-n", "k8s.io", "images", "list", "-q", filtered).split())

    def ca_pem(self) -> str | None:
        """Who may vouch for the member's certificates beside the authorities of this machine; None for nobody."""
        if self.member.tls == "own-ca":
            pem = self.host.read(f"{layout.CA}/ca.crt")
            return pem.decode() if pem else None
        return "\n".join(self.member.extra_ca) or None

    def binder(self, path: str) -> Answer:
        return self._curl(f"http://{self._service(layout.HUB_NAMESPACE, 'binder')}{path}", "")

    def _service(self, namespace: str, name: str) -> str:
        """The ClusterIP of a service, which the node itself can reach."""
        return str(self.kubectl_json(["get", "service", "-n", namespace, name])["spec"]["clusterIP"])

    @cached_property
    def way(self) -> str | None:
        """Where the member's names are looked for; None where public DNS knows them.

        The address of the host's default route comes last: behind NAT nobody outside reaches that.
        """
        from binderbox.world.http.web import address_for

        outside = self.host.given_address or self.member.ingress_ip or self.host.address or self.facts.address
        return address_for(self.member.domain, outside)

    @cached_property
    def _web(self) -> Web:
        from binderbox.world.http.web import Web

        return Web(self.member.domain, self.way, self.ca_pem())

    def _curl(self, url: str, settings: str) -> Answer:
        """Asked from the node; `settings` are lines of curl's own config, which no process list shows."""
        argv = ["curl", "-sS", "--max-time", "10", "-o", "-", "-w", "\\n%{http_code}", "-K", "-", url]
        output = self.host.run(argv, stdin=settings.encode(), timeout_s=LOOK_S)
        if output.code:
            return Answer(url, 0, error=output.stderr.decode().strip())
        body, _, status = output.stdout.decode().rpartition("\n")
        return Answer(url, int(status), body=body)

    def _kept(self, path: str) -> dict[str, Any] | None:
        """What a job of the node keeps, None before it has."""
        known = jobs.kept(self.host, path) if self.kept is None else self.kept
        found: dict[str, Any] | None = known.get(path)
        return found

    def _registry_basic(self) -> str:
        password = self.host.read(f"{layout.SECRETS}/registry-password")
        if password is None:
            raise Skip("the registry's credential does not exist yet")
        return base64.b64encode(f"{layout.REGISTRY_USER}:".encode() + password.strip()).decode()

    def _run(self, *argv: str) -> str:
        output = self.host.run(list(argv), timeout_s=LOOK_S)
        if output.code:
            raise Unhealthy(
                f"{self.host.name}: {' '.join(argv[:3])} failed",
                cause=output.stderr.decode(errors="replace").strip()[-500:],
                remedy=f"binderbox install {self.host.name}",
            )
        return output.stdout.decode(errors="replace")
