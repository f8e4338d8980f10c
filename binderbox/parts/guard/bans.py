"""What cryptnono bans on this node, from files of lines: each line is refused where it would do harm. Pure.

Standard library only: it travels to the node. An operator's files are

- `banned-strings`: parts of commands, as execwhacker has them: whole words, in any case, of what a process was started with;
- `allowed-commands`: regular expressions that a whole command begins with, which then is spared;
- `banned-addresses`: single IPv4 addresses, as flowkiller has them.

Empty lines, and those that begin with `#`, say nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Any

from binderbox.launch.reach import BANNED_WORD

STRINGS, ALLOWED, ADDRESSES = "banned-strings", "allowed-commands", "banned-addresses"
FILES = (STRINGS, ALLOWED, ADDRESSES)
# Ours, so that it can be seen that a detector kills: no program of anybody has it among its words.
CANARY = BANNED_WORD
CANARY_ADDRESS = "127.77.77.77"  # so that no packet leaves the node; flowkiller asks for bans before all else
CONFIG_MAP, CONFIG_MAP_KEY = "cryptnono-addresses", "addresses.txt"
SHORTEST, LONGEST = 5, 127  # execwhacker.bpf.c hands on 127 bytes of an argument
MOST_MB = 0.9  # a ConfigMap holds 1 MiB: https://kubernetes.io/docs/concepts/configuration/configmap/
# What the node's own programs and strangers' notebooks are started with. One that is banned would take them all.
OWN_COMMANDS = (
    *("/usr/local/bin/k3s server", "/usr/local/bin/k3s agent", "containerd", "containerd-shim-runc-v2"),
    *("runc", "buildkitd", "buildctl", "kubectl", "helm", "coredns", "kube-proxy", "kubelet", "pause"),
    *("/usr/bin/minio server /data", "/bin/registry serve /etc/distribution/config.yml", "traefik"),
    *("systemd", "systemd-journald", "systemd-logind", "sshd", "dbus-daemon", "cron", "agetty", "login"),
    *("python", "python3", "python3 -m jupyterhub", "python3 -m binderhub", "tornado", "node"),
    *("configurable-http-proxy", "jupyterhub", "jupyterhub-singleuser", "jupyter", "jupyter-lab"),
    *("jupyter-notebook", "ipykernel_launcher", "python3 -m ipykernel_launcher -f kernel.json"),
    *("repo2docker", "repo2docker-entrypoint", "binderbox", "tini", "/bin/sh -c", "bash -l", "git clone"),
    *("pip install", "conda install", "mamba", "micromamba", "apt-get install", "dpkg", "curl", "wget"),
    *("rserver", "rsession", "julia", "R --no-save", "java", "nbgitpuller"),
)


class BadBans(ValueError):
    """Lines that are refused, each with its file, its number and why; none is in force."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


@dataclass(frozen=True)
class Bans:
    """Lines that may be in force. Addresses as texts, e.g. "203.0.113.7"."""

    strings: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


# What builds and notebooks ask at all times: lists of bad addresses have had them, mybinder.org-deploy #3484 #3485 #3567 #3660.
MUST_WORK = (
    *("pypi.org", "files.pythonhosted.org", "conda.anaconda.org", "repo.anaconda.com", "cloud.r-project.org"),
    *("cran.r-project.org", "registry.npmjs.org", "pkg.julialang.org", "github.com", "codeload.github.com"),
    *(
        "gitlab.com",
        "zenodo.org",
        "doi.org",
        "registry-1.docker.io",
        "quay.io",
        "deb.debian.org",
        "archive.ubuntu.com",
    ),
)


def parse(
    texts: Mapping[str, str], running: Iterable[str] = (), must_work: Mapping[str, str] | None = None
) -> Bans:
    """The files, by name; raises BadBans with every bad line.

    + running: commands of processes that must not be killed, beside those of OWN_COMMANDS
    + must_work: addresses that must stay within reach, and whose each is
    """
    lines = {name: tuple(_lines(texts.get(name, ""))) for name in FILES}
    allowed = tuple(line for _, line in lines[ALLOWED])
    commands = tuple(dict.fromkeys((*OWN_COMMANDS, *running)))
    faults = [
        *_faults(lines, ALLOWED, _pattern_fault),
        *_faults(lines, STRINGS, lambda line: _string_fault(line, commands, _compiled(allowed))),
        *_faults(lines, ADDRESSES, lambda line: _address_fault(line, must_work or {})),
        *(
            f"{name}: {len(text.encode()) / 1e6:.1f} MB, and {MOST_MB} MB is the most"
            for name, text in texts.items()
            if len(text.encode()) > MOST_MB * 1e6
        ),
    ]
    if faults:
        raise BadBans(faults)
    return Bans(*(tuple(dict.fromkeys(line for _, line in lines[name])) for name in FILES))


def kills(banned: str, command: str) -> bool:
    """Whether execwhacker would kill a process with this command for this string: kill_if_needed in its execwhacker.py."""
    text, word = command.casefold(), banned.casefold()
    if word not in text:
        return False
    return not (re.search(r"\w" + re.escape(word), text) or re.search(re.escape(word) + r"\w", text))


def values(bans: Bans) -> dict[str, Any]:
    """Values of cryptnono's chart that put them in force, beside those of values.py; another set is another pod."""
    config = {"bannedCommandStrings": list(bans.strings), "allowedCommandPatterns": list(bans.allowed)}
    return {
        "detectors": {
            "execwhacker": {"configs": {"banned": config}} if bans.strings or bans.allowed else {},
            "tcpflowkiller": {"bannedIpv4ConfigMaps": {CONFIG_MAP: CONFIG_MAP_KEY}},
        },
        "podAnnotations": {"binderbox/bans": digest(bans)},
    }


def config_map(bans: Bans, namespace: str) -> dict[str, Any]:
    """The addresses as the chart wants them; the canary's is always among them."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP, "namespace": namespace},
        "data": {CONFIG_MAP_KEY: "".join(f"{one}\n" for one in (CANARY_ADDRESS, *bans.addresses))},
    }


def digest(bans: Bans) -> str:
    """Another one for another set."""
    text = json.dumps([bans.strings, bans.allowed, bans.addresses])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """(number, line) of those that say something."""
    for number, line in enumerate(text.split("\n"), 1):
        if (line := line.strip("\r")).strip() and not line.startswith("#"):
            yield number, line


def _faults(lines: Mapping[str, Iterable[tuple[int, str]]], name: str, judge: Any) -> Iterator[str]:
    for number, line in lines[name]:
        if why := judge(line):
            yield f"{name}:{number}: {why}"


def _string_fault(line: str, commands: Iterable[str], allowed: Iterable[re.Pattern[str]]) -> str:
    """A string is told by its line's number alone: what is banned is not for everybody to read."""
    if line != line.strip() or not line.isprintable():
        return "has blanks around it, or characters that no one prints"
    if not SHORTEST <= len(line.encode()) <= LONGEST:
        return f"is {len(line.encode())} bytes long, and {SHORTEST} to {LONGEST} can tell one command from others"
    for command in commands:
        if kills(line, command) and not any(one.match(command.casefold()) for one in allowed):
            return f"would kill a process of the node's own: {command[:100]}"
    return ""


def _pattern_fault(line: str) -> str:
    try:
        pattern = re.compile(line, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        return f"is no regular expression: {error}"
    return "spares every command" if pattern.match("") else ""


def _compiled(patterns: Iterable[str]) -> list[re.Pattern[str]]:
    return [re.compile(one, re.IGNORECASE) for one in patterns if not _pattern_fault(one)]


def _address_fault(line: str, must_work: Mapping[str, str]) -> str:
    try:
        address = IPv4Address(line)
    except AddressValueError:
        return f"expected one IPv4 address, found {line[:60]!r}; flowkiller knows no others, and no networks"
    if not address.is_global:
        return f"{address} is no public address; the node's own are among such"
    return f"{address} is {must_work[line]}'s, which builds and notebooks ask" if line in must_work else ""
