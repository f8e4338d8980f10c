"""Whether builds and pods can ask for names, judged from a name that nobody has asked for before.

An install's own images lie on the node, so a proof that builds from them alone is green on a host where no stranger's
`FROM` resolves. A random name needs no record: that there is none is an answer, too.
"""

from __future__ import annotations

import re

from binderbox.checks.core import Verdict, failed, passed

WORLD = "mybinder.org"
# Go's net.DNSError, as BuildKit passes it on: "lookup NAME on SERVER: REASON"
LOOKUP = re.compile(r"lookup (?P<name>\S+?)(?: on (?P<server>\S+))?: (?P<reason>[^\n]+)")
NO_RECORD = "no such host"


def zone_to_ask(domain: str, *, outside: bool) -> str:
    """Below which name to ask. Without the world outside only the member's own zone is anybody's to answer for."""
    return WORLD if outside else domain


def judge_fetch(name: str, said: str) -> Verdict:
    """`said` is what BuildKit answered to a build that comes FROM a registry of that name."""
    if name not in said:
        return failed(
            f"BuildKit did not say: {said.strip()[-200:] or 'nothing'}", f"a question for {name}", FIX
        )
    found = LOOKUP.search(said)
    if found is None or NO_RECORD in found["reason"]:
        return passed(f"{name} was answered")
    return failed(found[0], "an answer to BuildKit from whom the host asks for names", FIX)


FIX = "see BBX-H29, and journalctl -u binderbox-buildkitd on the host"
