"""The addresses of the package registries that builds need and that are not public, by what this machine resolves.

Names come from the settings of pip, apt, npm and go on this machine, else from their public defaults. Where the
registries have public addresses the answer is empty: those are open to pods and builds anyway.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from urllib.parse import urlsplit

from tests.rig.roots import extra_authorities, find_mirrors

PROXY_VARIABLES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
DEFAULT_PORTS = {"http": (80, 443), "https": (80, 443)}  # a registry on a default port answers on both


def egress_allow() -> list[dict[str, object]]:
    """Entries of the config's `egress_allow`, one for each address that is not public."""
    ports: dict[str, set[int]] = defaultdict(set)
    for url in registries():
        parts = urlsplit(url)
        for address in _addresses(parts.hostname or ""):
            if not ipaddress.ip_address(address).is_global:
                ports[address] |= {parts.port} if parts.port else set(DEFAULT_PORTS[parts.scheme])
    return [
        {"network": str(ipaddress.ip_network(address)), "ports": sorted(ports[address])}
        for address in sorted(ports)
    ]


def site_settings() -> dict[str, object]:
    """The keys of a member's config that depend on the network this machine is in; None for what it does not need."""
    return {
        "egress_allow": egress_allow() or None,
        "extra_ca": [path.read_text() for path in extra_authorities()] or None,
        "offline": True,  # the sites where BinderHub looks up references are no package registries
    }


def site_options() -> list[str]:
    """The same as options of `binderbox demo up`."""
    options = ["--offline"]
    for entry in egress_allow():
        ports = entry["ports"]
        assert isinstance(ports, list)
        options += ["--egress-allow", f"{entry['network']}:{','.join(map(str, ports))}"]
    for authority in extra_authorities():
        options += ["--extra-ca", str(authority)]
    return options


def registry_names() -> dict[str, str]:
    """Name to address of every such registry, for a resolver of the rig's own that knows no others."""
    names = {urlsplit(url).hostname or "" for url in registries()}
    return {name: min(found) for name in names if (found := list(filter(_is_v4, _addresses(name))))}


def registries() -> list[str]:
    """Every address that a package manager of this machine would ask, as URLs."""
    mirrors = find_mirrors()
    found = [
        *(_ask(sys.executable, "-m", "pip", "config", "get", "global.index-url") or ["https://pypi.org"]),
        *os.environ.get("PIP_INDEX_URL", "").split(),
        *os.environ.get("PIP_EXTRA_INDEX_URL", "").split(),
        "https://files.pythonhosted.org",
        mirrors.archive,
        mirrors.security,
        *(_ask("npm", "config", "get", "registry") or ["https://registry.npmjs.org"]),
        *re.split("[,|]", " ".join(_ask("go", "env", "GOPROXY")) or "https://proxy.golang.org"),
        "https://sum.golang.org",
        *(os.environ[name] for name in PROXY_VARIABLES if name in os.environ),
    ]
    return list(dict.fromkeys(url for url in found if urlsplit(url).scheme in DEFAULT_PORTS))


def _ask(*command: str) -> list[str]:
    """What a package manager's own settings say; nothing if it is not there or has no such setting."""
    if not shutil.which(command[0]):
        return []
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    return done.stdout.split() if done.returncode == 0 else []


def _is_v4(address: str) -> bool:
    return "." in address


def _addresses(name: str) -> Iterable[str]:
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except OSError:
        return set()
