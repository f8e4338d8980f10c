"""The backstop as nftables text: what holds while the firewall's own table is not there.

`nft flush ruleset` and other firewalls take every table of everybody away, except one that has an owner: a process
(backstop.py) whose socket made it, and which alone can change it (nftables' `owner` flag, Linux 5.12). So this table
knows nothing that changes. It lets pass what the firewall has marked, connections that are there already, and what may
come from outside anyway. Without the firewall nothing is marked, and no pod and no build step reaches anything new.
"""

from __future__ import annotations

from binderbox.parts.firewall.rules import PASSED, FirewallInputs, outside_to_node

BACKSTOP = "binderbox-backstop"


def owned(table: str, body: str) -> str:
    """A table with an owner, in place of the one that its owner has made before, in one step."""
    return f"""\
# Made by binderbox. Only binderbox-backstop.service can load it: a table with an owner goes when its owner ends.
table inet {table} {{ flags owner; }}
delete table inet {table}
table inet {table} {{
    flags owner

{body}
}}
"""


def lasting(table: str, body: str) -> str:
    """The same without an owner, in place of the one before: it stays when whoever has made it ends, and a flush takes it."""
    return f"""\
table inet {table}
delete table inet {table}
table inet {table} {{
{body}
}}
"""


def render_backstop(inputs: FirewallInputs) -> str:
    """Its chains come just after the firewall's, in the same hooks."""
    ours = f'{{ "{inputs.pod_interface}", "{inputs.build_interface}" }}'
    passed = f"meta mark and {PASSED} != 0 accept"
    return owned(
        BACKSTOP,
        f"""\
    chain input {{
        type filter hook input priority filter - 4; policy accept;
        iifname "lo" accept
        {passed}
        iifname {ours} goto not_passed
{outside_to_node(inputs)}
    }}

    chain forward {{
        type filter hook forward priority filter - 4; policy accept;
        {passed}
        iifname {ours} goto not_passed
        oifname {ours} goto not_passed
    }}

    chain output {{
        type filter hook output priority filter + 6; policy accept;
        # A service that is not translated would leave by the default route in plain HTTP.
        ip daddr {inputs.service_cidr} counter drop
    }}

    chain not_passed {{
        ct state established,related accept
        counter drop
    }}""",
    )
