"""How many addresses untrusted code may begin to ask: a scan is over before it is one.

A scan is many addresses that were not asked before; honest work has few, however many connections it makes to them.
So the first connection of a group to an address takes a token of the group's, further ones take none for an hour
(which nothing makes longer: that would cost each connection), and
without a token the connection is refused. All pods and all steps of builds of a repository are one group, which the
keeper tells (`groups`); what it does not know yet waits, by the kernel's own second try.

Connections that nobody has answered are bounded, too. Those to an address that has answered the group are not: neither
a package installer nor a page with a hundred images is a flood.

The numbers: mybinder.org's tcpflowkiller kills at 24 different addresses and ports in a minute (15 had killed parallel
installers and emulated browsers: mybinder.org-deploy 80d62e85, db487f03, #3810). It ends the program; this ends the
scan, also one with a program for each connection, which tcpflowkiller never sees.
"""

from __future__ import annotations

from binderbox.parts.firewall.names import GROUPS_MAP, REFUSED_SET, SOURCES_SET, SYSTEM_PODS_SET

NEW_ADDRESSES = 24
NEW_ADDRESSES_PER_MINUTE = 4
NOT_KNOWN_YET = 4  # by all together that the keeper does not know yet, and one more each second
UNANSWERED = 300  # connections
UNANSWERED_PER_SECOND = 50
QUESTIONS_KB = 200  # of questions for names: a thousand and more, by one pod or step
QUESTIONS_KB_PER_SECOND = 8  # what a tunnel through names may carry
REMEMBERED = "1h"
MOST_GROUPS = 4096
MOST_PAIRS = 16384  # the keeper's look at the table reads them all
MOST_REFUSED = 1024

NOT_KNOWN = 1  # the mark of whom the keeper has not told yet; a group's is greater

QUESTIONS = f"limit rate over {QUESTIONS_KB_PER_SECOND} kbytes/second burst {QUESTIONS_KB} kbytes"
BUCKET = f"limit rate over {NEW_ADDRESSES_PER_MINUTE}/minute burst {NEW_ADDRESSES} packets"
HALF_OPEN = f"limit rate over {UNANSWERED_PER_SECOND}/second burst {UNANSWERED} packets"


def spread_sets() -> str:
    """The sets of one table: who asked whom, bounded in number and time."""
    rows = [
        "    # The group of each address of a pod or a step, kept by binderbox-systempods.service.",
        f"    map {GROUPS_MAP} {{",
        "        type ipv4_addr : mark",
        "    }",
        "    # Whose connections were refused, and to where, in the last minute; the same service reads it.",
        *_set(REFUSED_SET, "ipv4_addr . ipv4_addr . inet_proto . inet_service", MOST_REFUSED, "1m"),
        "    # Steps of builds as the network plugin made them, kept by the same service.",
        f"    set {SOURCES_SET} {{",
        "        type ipv4_addr . ether_addr",
        "    }",
    ]
    rows += _set("questions", "ipv4_addr", MOST_GROUPS)
    for name, kind, most in (
        ("asked", "mark . ipv4_addr", MOST_PAIRS),
        ("answered", "mark . ipv4_addr", MOST_PAIRS),
        ("tokens", "mark", MOST_GROUPS),
        ("half_open", "mark", MOST_GROUPS),
    ):
        rows += _set(name, kind, most)
    return "\n".join([*rows, sets_of_all()])


def sets_of_all() -> str:
    """For those that no group can be told of: one bucket, and whom they asked."""
    return "\n".join(
        [
            *_set("asked_4", "ipv4_addr", MOST_PAIRS),
            *_set("asked_6", "ipv6_addr", MOST_PAIRS),
            f"    limit new_addresses {{\n        rate {BUCKET.removeprefix('limit rate ')}\n    }}",
        ]
    )


def public_of_all(chain: str, passed: str) -> str:
    """A chain by that bucket; `passed` is the verdict of what may go on."""
    return f"""\
    chain {chain} {{
        ip daddr @asked_4 update @asked_4 {{ ip daddr }} {passed}
        ip6 daddr @asked_6 update @asked_6 {{ ip6 daddr }} {passed}
        limit name "new_addresses" counter reject
        add @asked_4 {{ ip daddr }} {passed}
        add @asked_6 {{ ip6 daddr }} {passed}
        counter reject
    }}"""


def _set(name: str, kind: str, most: int, timeout: str = REMEMBERED) -> list[str]:
    return [
        f"    set {name} {{",
        f"        type {kind}",
        f"        size {most}",
        "        flags dynamic,timeout",
        f"        timeout {timeout}",
        "    }",
    ]


def questions() -> str:
    """A rule about questions for names, for a chain that sees every packet: a tunnel is many long ones."""
    return f"meta l4proto {{ tcp, udp }} th dport 53 ip saddr != @{SYSTEM_PODS_SET} update @questions {{ ip saddr {QUESTIONS} }} goto refuse"


def spread_chains(pods: str) -> str:
    """`public` decides about a new connection that may leave; `answers` sees what comes back. `pods` is their interface."""
    return f"""\
    chain public {{
        # The member's own ask for all visitors.
        iifname {pods} ip saddr @{SYSTEM_PODS_SET} accept
        meta nfproto ipv6 goto public_6
        jump marked
        # Not a no, but later: it is asked again after a second, and who asks is known then.
        ct mark {NOT_KNOWN} limit rate over 1/second burst {NOT_KNOWN_YET} packets counter drop
        ct mark . ip daddr @answered accept
        update @half_open {{ ct mark {HALF_OPEN} }} goto refuse
        goto public_asked
    }}

    chain public_asked {{
        ct mark . ip daddr @asked accept
        update @tokens {{ ct mark {BUCKET} }} goto refuse
        # A set that is full takes nothing more, and the rule does not go on.
        add @asked {{ ct mark . ip daddr }} accept
        goto refuse
    }}

    # Neither pods nor builds have an IPv6 address; who has one all the same shares one bucket with all others.
{public_of_all("public_6", "accept")}

    chain marked {{
        ct mark set {NOT_KNOWN}
        ct mark set ip saddr map @{GROUPS_MAP}
    }}

    chain refuse {{
        meta nfproto ipv4 ip saddr != @{SYSTEM_PODS_SET} jump marked
        # The member's own begin with a question to the API server, and a no would end them.
        ct mark {NOT_KNOWN} counter drop
        # At once: who waits for a silence thinks that the network is broken.
        meta nfproto ipv4 meta l4proto {{ tcp, udp }} update @{REFUSED_SET} {{ ip saddr . ip daddr . meta l4proto . th dport }}
        meta l4proto tcp counter reject with tcp reset
        counter reject with icmpx admin-prohibited
    }}

    chain answers {{
        ct mark != 0 add @answered {{ ct mark . ip saddr }}
    }}"""
