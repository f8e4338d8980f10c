"""Which addresses are public, and what untrusted code may speak to there.

Lists: IANA's special-purpose registries, and Azure's host agent, whose address looks public.
"""

from __future__ import annotations

NOT_PUBLIC_4 = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",  # carrier-grade NAT
    "127.0.0.0/8",
    "168.63.129.16/32",  # Azure's host agent: not reserved, and answers each VM privately
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
PUBLIC_6 = "2000::/3"
NOT_PUBLIC_6 = (
    "2001::/23",  # Teredo and other protocol assignments
    "2001:db8::/32",
    "2002::/16",  # 6to4 carries any IPv4 address inside
    "3fff::/20",
)
# Where clouds tell a machine its secrets: link-local, Alibaba, Azure, Oracle; AWS, GCP.
METADATA_4 = ("169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32")
METADATA_6 = ("fe80::/10", "fd00:ec2::/32", "fd20:ce::/32")
PUBLIC_TCP_PORTS = (80, 443, 9418)
