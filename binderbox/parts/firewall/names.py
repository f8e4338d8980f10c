"""Names of the firewall's table, and of its sets and maps whose elements the keeper writes or reads."""

from __future__ import annotations

TABLE = "binderbox"
SYSTEM_PODS_SET = "system_pods"  # addresses of the member's own pods
BINDER_PODS_SET = "binder_pods"  # those of them that are BinderHub's
HOST_PORTS_MAP = "host_ports"  # a port of the node to a system pod's address and port
GROUPS_MAP = "groups"  # the address of every other pod and of every step to the mark of its repository
SOURCES_SET = "step_sources"  # addresses of build steps, each with its link address
REFUSED_SET = "refused"  # who was refused, and where to: two addresses, protocol, port
