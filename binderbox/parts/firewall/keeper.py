"""Keeps what the firewall knows of pods equal to what the API server says; run on the node as a unit of its own.

All pods share one bridge and one network, so the firewall can tell the hub from a user only by address, and only
Kubernetes knows addresses. This program watches pods and writes the addresses of the member's own ones into one
nftables set. Whatever is not in it is untrusted, so what this program does not know it does not open:

- a pod counts only with a known address, not on the host's network, not ended, and with the right namespace or label;
- an address that two live pods claim counts only if both are system pods;
- the API server out of reach: the set stays as it is, no pod can be made meanwhile; the unit stopped: it is emptied;
- a program that hangs leaves it as it was, with addresses that others may have by now;
- the set is compared with the kernel's each second, because loading the firewall's rules empties it;
- their host ports are written beside the set, because a flush takes those of CNI's portmap for good;
- so is the whole table: `nft flush ruleset`, or a reload of nftables.service, takes every table of everybody away.
  What is not there as it was loaded is loaded again, before anything else is done.

The list of pods is read again at least once a minute. Standard library only: it runs with the node's own Python.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import ipaddress
import json
import os
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from binderbox.parts.systemd import notify

WATCH_S = 60  # then the list is read again
CHECK_S = 1
RETRY_S = 1
NFT_S = 10


@dataclass(frozen=True)
class Rules:
    """Which pods are the member's own: all of `whole_namespaces`, and these components of `hub_namespace`."""

    pod_cidr: str
    whole_namespaces: tuple[str, ...]
    hub_namespace: str
    components: tuple[str, ...]


def is_system(pod: dict[str, Any], rules: Rules) -> bool:
    """Say whether a pod is one of the member's own."""
    metadata = pod.get("metadata") or {}
    namespace = metadata.get("namespace")
    if namespace in rules.whole_namespaces:
        return True
    return (
        namespace == rules.hub_namespace
        and (metadata.get("labels") or {}).get("component") in rules.components
    )


@dataclass(frozen=True)
class Known:
    """What the firewall knows of the member's own pods: their addresses, and each port of the node that is one's."""

    addresses: frozenset[str] = frozenset()
    host_ports: frozenset[tuple[int, str, int]] = frozenset()  # port of the node, address and port of the pod


def known_of(pods: Iterable[dict[str, Any]], rules: Rules) -> Known:
    """The addresses that only system pods have, and these pods' host ports; of two that want one, none has it."""
    system: dict[str, dict[str, Any]] = {}
    others: set[str] = set()
    for pod in pods:
        for address in _addresses(pod, rules):
            if is_system(pod, rules):
                system[address] = pod
            else:
                others.add(address)
    trusted = frozenset(system) - others
    ports: dict[int, set[tuple[int, str, int]]] = {}
    for address in trusted:
        for port, inside in _host_ports(system[address]):
            ports.setdefault(port, set()).add((port, address, inside))
    return Known(trusted, frozenset(one for found in ports.values() if len(found) == 1 for one in found))


def _addresses(pod: dict[str, Any], rules: Rules) -> Iterator[str]:
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    if spec.get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed"):
        return
    network = ipaddress.ip_network(rules.pod_cidr)
    for text in {status.get("podIP"), *(one.get("ip") for one in status.get("podIPs") or [])}:
        with suppress(ValueError):
            if text and ipaddress.ip_address(text) in network:
                yield str(text)


def _host_ports(pod: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Pairs of TCP ports, the node's and the pod's."""
    for container in (pod.get("spec") or {}).get("containers") or []:
        for port in container.get("ports") or []:
            if port.get("hostPort") and port.get("protocol", "TCP") == "TCP":
                yield int(port["hostPort"]), int(port["containerPort"])


@dataclass
class PodSet:
    """Pods as last heard of, by uid."""

    rules: Rules
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)

    def replace(self, items: Iterable[dict[str, Any]]) -> None:
        self.pods = {pod["metadata"]["uid"]: pod for pod in items}

    def hear(self, event: dict[str, Any]) -> None:
        """Take in one event of the watch; anything else than a pod's raises ValueError, and the list is read again."""
        kind, pod = event.get("type"), event.get("object") or {}
        if kind not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK") or "metadata" not in pod:
            raise ValueError(f"the watch ended with {kind}: {pod.get('message', '')}")
        if kind == "DELETED":
            self.pods.pop(pod["metadata"]["uid"], None)
        elif kind != "BOOKMARK":
            self.pods[pod["metadata"]["uid"]] = pod

    def known(self) -> Known:
        return known_of(self.pods.values(), self.rules)


class Api:
    """The list and the watch of all pods, with the token of a service account that can read pods only."""

    def __init__(self, server: str, secret_file: str) -> None:
        self._url = f"{server}/api/v1/pods"
        self._secret_file = secret_file

    def _open(self, query: str, timeout_s: float) -> http.client.HTTPResponse:
        with open(self._secret_file, encoding="utf-8") as secret:
            data = json.load(secret)["data"]
        token, authority = (base64.b64decode(data[key]).decode() for key in ("token", "ca.crt"))
        request = urllib.request.Request(self._url + query, headers={"Authorization": f"Bearer {token}"})
        context = ssl.create_default_context(cadata=authority)
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=timeout_s, context=context)
        return answer

    def list(self) -> tuple[list[dict[str, Any]], str]:
        with self._open("", 30) as answer:
            found = json.load(answer)
        return found["items"] or [], found["metadata"]["resourceVersion"]

    def watch(self, version: str) -> Iterator[dict[str, Any]]:
        with self._open(
            f"?watch=1&resourceVersion={version}&timeoutSeconds={WATCH_S}", WATCH_S + 15
        ) as answer:
            for line in answer:
                yield json.loads(line)


class Kernel:
    """Our table, and what of it changes, written in one transaction. `rules` is the file that makes the table."""

    def __init__(self, table: str, addresses: str, host_ports: str, rules: str) -> None:
        self._table, self._addresses, self._host_ports, self._rules = table, addresses, host_ports, rules

    def table(self) -> str | None:
        """The table as text, without what its sets hold; None where there is none."""
        try:
            return self._nft("--terse", "--stateless", "list", "table", "inet", self._table)
        except OSError as error:
            if "No such file or directory" in str(error):
                return None
            raise

    def load(self) -> None:
        self._nft("-f", self._rules)

    def written(self) -> float:
        """When the file of rules was written."""
        return os.stat(self._rules).st_mtime

    def read(self) -> Known:
        ports = [(port, *to["concat"]) for port, to in self._elements("map", self._host_ports)]
        return Known(
            frozenset(map(str, self._elements("set", self._addresses))),
            frozenset((int(port), str(address), int(inside)) for port, address, inside in ports),
        )

    def write(self, known: Known) -> None:
        table = f"inet {self._table}"
        rows = [f"flush set {table} {self._addresses}", f"flush map {table} {self._host_ports}"]
        if known.addresses:
            elements = ", ".join(sorted(known.addresses))
            rows.append(f"add element {table} {self._addresses} {{ {elements} }}")
        if known.host_ports:
            pairs = (f"{port} : {address} . {inside}" for port, address, inside in sorted(known.host_ports))
            rows.append(f"add element {table} {self._host_ports} {{ {', '.join(pairs)} }}")
        self._nft("-f", "-", text="\n".join(rows) + "\n")

    def _elements(self, kind: str, name: str) -> list[Any]:
        shown = json.loads(self._nft("-j", "list", kind, "inet", self._table, name))
        return next((list(item[kind].get("elem", [])) for item in shown["nftables"] if kind in item), [])

    def _nft(self, *argv: str, text: str | None = None) -> str:
        done = subprocess.run(
            ["nft", *argv], input=text, capture_output=True, text=True, timeout=NFT_S, check=False
        )
        if done.returncode:
            raise OSError(f"nft {' '.join(argv)}: {done.stderr.strip()}")
        return done.stdout


class Keeper:
    """Makes the kernel's set equal to the wanted one: at once when that changes, and every few seconds anyway."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._loaded: str | None = None  # the table as it was loaded last
        self._written = kernel.written()
        self._wanted: Known | None = None
        self._changed = threading.Event()
        self._ready = False

    def want(self, known: Known) -> None:
        if known != self._wanted:
            self._wanted = known
            self._changed.set()

    def run(self) -> None:
        while True:
            self._changed.wait(CHECK_S)
            self._changed.clear()
            try:
                self.ensure()
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                say(f"the firewall's set cannot be written: {error}")
                time.sleep(RETRY_S)
                self._changed.set()

    def guard(self) -> None:
        """Load the table where it is gone, or is not what was loaded; who writes new rules into the file loads them, too."""
        found, written = self._kernel.table(), self._kernel.written()
        if found is not None and self._loaded in (None, found):
            self._loaded = found
            return
        self._kernel.load()
        self._loaded = self._kernel.table()
        if written == self._written:
            happened = "gone" if found is None else "changed by another program"
            say(f"the firewall's table was {happened}, and is loaded again")
        self._written = written

    def ensure(self) -> None:
        self.guard()
        wanted = self._wanted
        if wanted is None:
            return
        found = self._kernel.read()
        if found != wanted:
            self._kernel.write(wanted)
            added, removed = wanted.addresses - found.addresses, found.addresses - wanted.addresses
            say(f"system pods: added {sorted(added)}, removed {sorted(removed)}")
        if not self._ready:
            self._ready = True
            notify("READY=1")


def follow(api: Api, pods: PodSet, keeper: Keeper) -> None:
    """Read the list, then the watch, for ever."""
    while True:
        try:
            items, version = api.list()
            pods.replace(items)
            keeper.want(pods.known())
            for event in api.watch(version):
                pods.hear(event)
                keeper.want(pods.known())
        except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
            say(f"the API server does not say which pods there are: {error}")
            time.sleep(RETRY_S)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="keep the firewall's set of system pods")
    parser.add_argument("--api", default="https://127.0.0.1:6443")
    parser.add_argument(
        "--secret", required=True, help="the service account's secret as JSON (kubectl get -o json)"
    )
    parser.add_argument("--table", default="binderbox")
    parser.add_argument("--set", default="system_pods")
    parser.add_argument("--map", default="host_ports")
    parser.add_argument("--rules", required=True, help="the file that makes the table")
    parser.add_argument("--pod-cidr", required=True)
    parser.add_argument(
        "--namespace", action="append", default=[], help="all pods of it are the member's own"
    )
    parser.add_argument("--hub-namespace", required=True)
    parser.add_argument(
        "--component", action="append", default=[], help="label of the member's own pods there"
    )
    given = parser.parse_args(argv)
    rules = Rules(given.pod_cidr, tuple(given.namespace), given.hub_namespace, tuple(given.component))
    keeper = Keeper(Kernel(given.table, given.set, given.map, given.rules))
    threading.Thread(target=keeper.run, daemon=True).start()
    follow(Api(given.api, given.secret), PodSet(rules), keeper)


if __name__ == "__main__":
    main()
