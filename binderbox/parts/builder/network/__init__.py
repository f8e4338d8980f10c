"""The network of build steps: one bridge of ports that do not see each other, and a node that believes none of them."""

from __future__ import annotations

import json
from importlib.resources import files

from binderbox import layout
from binderbox.member.model import Networks

CONFIG = f"{layout.ETC}/builds.conflist"
PLUGINS = ("bridge", "firewall", "host-local", "loopback")  # that come with BuildKit, as buildkit-cni-NAME
NEIGHBOUR = "neighbour"


def render_network(networks: Networks, mtu: int = 0) -> str:
    """CNI's list of plugins, as BuildKit 0.32 makes it for its own `bridge` mode (util/network/cniprovider/bridge.go), and
    beside that isolated ports and permanent neighbours.

    A step has CAP_NET_RAW: by ARP it would be its neighbour's gateway, or to the node its neighbour.

    + mtu: of the interface by which the node reaches the outside (1460 at Google, less behind a tunnel); 0 where it is not known
    """
    return json.dumps(
        {
            "cniVersion": "1.0.0",
            "name": "buildkit",
            "plugins": [
                {
                    "type": "bridge",
                    "bridge": layout.BUILD_INTERFACE,
                    "isDefaultGateway": True,
                    "ipMasq": True,
                    "portIsolation": True,
                    **({"mtu": mtu} if mtu else {}),
                    "ipam": {"type": "host-local", "ranges": [[{"subnet": networks.builds}]]},
                },
                {"type": "firewall", "ingressPolicy": "same-bridge"},
                {"type": NEIGHBOUR, "bridge": layout.BUILD_INTERFACE},
            ],
        },
        indent=1,
    )


def neighbour() -> str:
    """The program of the last of them, for the node."""
    return (files(__name__) / "neighbour.py").read_text(encoding="utf-8")
