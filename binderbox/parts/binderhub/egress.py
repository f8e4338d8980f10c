"""What user pods may reach by Kubernetes' own policies: the second layer behind the node's firewall."""

from __future__ import annotations

from typing import Any

from binderbox import layout
from binderbox.member.model import Member
from binderbox.parts.firewall.addresses import NOT_PUBLIC_4, PUBLIC_TCP_PORTS


def user_egress(member: Member) -> list[dict[str, Any]]:
    """Rules for the policy of user pods; DNS is a rule of the chart's own."""
    ingress_pods = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": layout.NAMESPACE}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "ingress"}},
    }
    public = {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(NOT_PUBLIC_4)}}
    allowed = [
        {"to": [{"ipBlock": {"cidr": allow.network}}], "ports": _tcp(*allow.ports)}
        for allow in member.egress_allow
    ]
    return [
        {"to": [public], "ports": _tcp(*PUBLIC_TCP_PORTS)},
        {
            "to": [ingress_pods],
            "ports": _tcp(8080, 8443),
        },  # the member's own public names, as the pods see them
        *allowed,
    ]


def _tcp(*ports: int) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in ports]
