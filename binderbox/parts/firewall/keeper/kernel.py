"""The firewall's table in the kernel, and what of it changes, by the node's `nft`.

Standard library only: it travels with the keeper.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from binderbox.parts.firewall.keeper.known import Known
from binderbox.parts.firewall.names import (
    BINDER_PODS_SET,
    GROUPS_MAP,
    HOST_PORTS_MAP,
    REFUSED_SET,
    SOURCES_SET,
    SYSTEM_PODS_SET,
    TABLE,
)

COMMAND_S = 10
LOAD_S = 60
NEIGHBOURS = Path("/proc/net/arp")
PERMANENT = 0x4  # ATF_PERM of linux/if_arp.h
Refused = tuple[str, str, str, int]


class Kernel:
    """Our table, and what of it changes, written in one transaction. Raises OSError, ValueError and SubprocessError.

    + rules: the file that makes the table
    + build_interface: the bridge of build steps
    """

    def __init__(self, rules: str, build_interface: str) -> None:
        self._rules, self._build_interface = rules, build_interface

    def table(self) -> str | None:
        """The table as text, with its objects' handles and without what its sets hold; None where there is none."""
        try:
            return _run("nft", "--terse", "--stateless", "--handle", "list", "table", "inet", TABLE)
        except OSError as error:
            if "No such file or directory" in str(error):
                return None
            raise

    def load(self) -> None:
        """Load the rules; what the sets of the old table hold stays, in the same transaction, as far as the new one has them."""
        try:
            kept = _added(_elements_of(self.read()))
        except (OSError, ValueError, LookupError, TypeError, subprocess.SubprocessError):
            kept = ""  # there is no table, or another release's, or no answer in time
        try:
            _run("nft", "-f", "-", text=f"{Path(self._rules).read_text()}\n{kept}", timeout_s=LOAD_S)
        except (OSError, subprocess.SubprocessError):
            if not kept:
                raise
            _run("nft", "-f", self._rules, timeout_s=LOAD_S)

    def written(self) -> float:
        """When the file of rules was written."""
        return os.stat(self._rules).st_mtime

    def steps(self) -> frozenset[tuple[str, str]]:
        """Addresses of build steps with their link addresses, as the network's plugin has made them neighbours for good."""
        rows = [line.split() for line in NEIGHBOURS.read_text().splitlines()[1:]]
        return frozenset(
            (address, link)
            for address, _, flags, link, _, device in rows
            if device == self._build_interface and int(flags, 16) & PERMANENT
        )

    def read(self) -> Known:
        ports = [(port, *to["concat"]) for port, to in _elements("map", HOST_PORTS_MAP)]
        return Known(
            frozenset(map(str, _elements("set", SYSTEM_PODS_SET))),
            frozenset(map(str, _elements("set", BINDER_PODS_SET))),
            frozenset((int(port), str(address), int(inside)) for port, address, inside in ports),
            frozenset((str(address), int(mark)) for address, mark in _elements("map", GROUPS_MAP)),
            frozenset((one["concat"][0], one["concat"][1]) for one in _elements("set", SOURCES_SET)),
        )

    def write(self, known: Known) -> None:
        wanted = _elements_of(known)
        flushed = "".join(f"flush {kind} inet {TABLE} {name}\n" for kind, name, _ in wanted)
        _run("nft", "-f", "-", text=f"{flushed}{_added(wanted)}")

    def refused(self) -> list[Refused]:
        """(from, to, protocol, port) of what was refused since this was asked last, up to the set's size."""
        found = [one.get("elem", one) for one in _elements("set", REFUSED_SET)]
        if found:
            _run("nft", "flush", "set", "inet", TABLE, REFUSED_SET)
        return [_refused(one["val"]["concat"]) for one in found]


def _elements_of(known: Known) -> tuple[tuple[str, str, list[str]], ...]:
    """Kind, name and elements of each set and map."""
    ports = [f"{port} : {address} . {inside}" for port, address, inside in sorted(known.host_ports)]
    return (
        ("set", SYSTEM_PODS_SET, sorted(known.addresses)),
        ("set", BINDER_PODS_SET, sorted(known.binder)),
        ("map", HOST_PORTS_MAP, ports),
        ("map", GROUPS_MAP, [f"{address} : {mark}" for address, mark in sorted(known.groups)]),
        ("set", SOURCES_SET, [f"{address} . {link}" for address, link in sorted(known.steps)]),
    )


def _added(wanted: Iterable[tuple[str, str, list[str]]]) -> str:
    """nftables text."""
    return "".join(
        f"add element inet {TABLE} {name} {{ {', '.join(elements)} }}\n"
        for _, name, elements in wanted
        if elements
    )


def _refused(words: list[Any]) -> Refused:
    source, to, protocol, port = words
    return str(source), str(to), str(protocol), int(port)


def _elements(kind: str, name: str) -> list[Any]:
    shown = json.loads(_run("nft", "--json", "list", kind, "inet", TABLE, name))
    return next((list(item[kind].get("elem", [])) for item in shown["nftables"] if kind in item), [])


def _run(*argv: str, text: str | None = None, timeout_s: float = COMMAND_S) -> str:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout
