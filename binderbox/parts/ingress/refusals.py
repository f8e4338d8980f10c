"""What an authority said when the ingress asked it for certificates, read from the ingress's own log. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

FAILED = re.compile(
    r"^(?P<at>\S+) ERR (?:Unable to obtain ACME certificate for domains|Error renewing ACME certificate: (?P<renewed>.*?))"
    r' error=(?P<error>"(?:[^"\\]|\\.)*"|\S+)(?P<fields>.*)$'
)
# The form in which lego repeats a problem document (RFC 7807, RFC 8555 section 6.7); method and address are not always there.
PROBLEM = re.compile(
    r"acme: error: \d+ :: (?:[A-Z]+ :: \S+ :: )?urn:(?:ietf:params:)?acme:error:(?P<kind>\w+) :: (?P<said>.*)",
    re.S,
)
LISTED = re.compile(r"domains=(\[[^\]]*\])")
MAIN = re.compile(r"\{Main:(\S+) SANs:\[(.*?)\]\}")
MOST = 400  # characters of an authority's words

# By kind (RFC 8555 section 6.7): what to do. `{name}` is the name that was asked for.
WAY_OUT = {
    "caa": "at the DNS provider, let the CAA record of {name} allow this authority, or take the record away",
    "rateLimited": "wait until then; the ingress orders again by itself, and what it has goes on",
    "connection": "open TCP port 80 of {name} to everybody: the authority asks for a token there",
    "dns": "at the DNS provider, set the records of {name}; `binderbox check` says which",
    "unauthorized": "something else answers at http://{name}: look at its records, and at what stands before the host",
    "incorrectResponse": "something else answers at http://{name}: look at its records, and at what stands before the host",
    "invalidContact": "set `email` in the config to an address that exists",
    "unsupportedContact": "set `email` in the config to an address that exists",
    "rejectedIdentifier": "this authority gives {name} no certificate: another domain, another `acme_server`, or tls: own-ca",
    "serverInternal": "wait until the authority is well; the ingress orders again by itself, and what it has goes on",
}  # fmt: skip
NOT_REACHED = "the host must reach the authority (`acme_server`), with its TLS as the authority gives it"


@dataclass(frozen=True)
class Refusal:
    """One refused order: when, for which names, the kind of the problem ("" without an answer), and the words."""

    at: str
    names: tuple[str, ...]
    kind: str
    said: str

    def way_out(self, name: str) -> str:
        return WAY_OUT.get(self.kind, NOT_REACHED if not self.kind else "").format(name=name)


def parse_refusals(lines: Iterable[str]) -> tuple[Refusal, ...]:
    """Of the ingress's log, in its order."""
    return tuple(one for line in lines if (one := _refusal(line)))


def last_of(refusals: Iterable[Refusal], name: str) -> Refusal | None:
    """What was said last of a name."""
    found = None
    for one in refusals:
        if name in one.names:
            found = one
    return found


def _refusal(line: str) -> Refusal | None:
    found = FAILED.match(line)
    if found is None:
        return None
    error = found["error"]
    if error.startswith('"'):
        error = str(json.loads(error, strict=False))
    if found["renewed"]:
        main = MAIN.search(found["renewed"])
        names = (main[1], *main[2].split()) if main else ()
    else:
        listed = LISTED.search(found["fields"])
        names = tuple(json.loads(listed[1])) if listed else ()
    problem = PROBLEM.search(error)
    if problem is None:
        return Refusal(found["at"], names, "", error.rpartition("ACME client ")[2][:MOST])
    said = problem["said"].strip()
    if ": [" in error[: problem.start()]:  # lego's list of the names that had a problem
        said = said.removesuffix("]")
    return Refusal(found["at"], names, problem["kind"], said[:MOST])
