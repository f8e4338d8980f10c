"""Whether the host is still where the last install found it: whom it asks for names, and its address.

A provider changes resolvers or addresses, a snapshot is started elsewhere, a laptop's VM moves: all names stop, for pods
and for builds, and nothing in Kubernetes says why. What was rendered from them is mended by an install.
"""

from __future__ import annotations

import glob
import socket

from binderbox import layout
from binderbox.decide import resolvers
from binderbox.parts.agent.jobs import files
from binderbox.parts.agent.jobs.config import AgentConfig


def moved(config: AgentConfig, resolv_conf: str = layout.HOST_RESOLV_CONF) -> str:
    """What has changed, as words for people, or ""."""
    own = files.read(resolv_conf) or ""
    upstreams = (
        files.read(path) or "" for place in layout.UPSTREAM_RESOLVERS for path in sorted(glob.glob(place))
    )
    found = {
        "the host's resolvers": (config.own_resolvers, resolvers.nameservers(own)),
        "the resolvers of its pods": (config.resolvers, resolvers.for_pods(own, upstreams)),
    }
    said = [
        f"{what} were {_told(then)} at the last install and are {_told(now)}"
        for what, (then, now) in found.items()
        if sorted(then) != sorted(now)
    ]
    if config.address and not _ours(config.address):
        said.append(f"the host no longer has the address {config.address}, as it had at the last install")
    return "; ".join(said)


def _told(addresses: tuple[str, ...]) -> str:
    return ", ".join(addresses) or "none"


def _ours(address: str) -> bool:
    """Whether a socket can have it: the agent's unit may not ask netlink."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind((address, 0))
        except OSError:
            return False
    return True
