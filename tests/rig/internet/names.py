"""A resolver that knows some names, for hosts of the rig: UDP and TCP, addresses of IPv4, and `records` of other kinds.

A key of `addresses` that begins with `*.` stands for every name below it that is not held itself, as in a zone file.
"""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Mapping

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

TTL_S = 60


class Names:
    """From `start` to `close`, at port 53 of one address."""

    def __init__(self, bind: str, addresses: Mapping[str, str]) -> None:
        self.addresses = dict(addresses)
        self.records: dict[tuple[str, str], tuple[str, ...]] = {}  # (name, CAA or AAAA) -> as in a zone file
        self.asked: list[str] = []
        self._servers: list[socketserver.BaseServer] = [
            _served(socketserver.ThreadingUDPServer, (bind, 53), _Datagram, self),
            _served(socketserver.ThreadingTCPServer, (bind, 53), _Stream, self),
        ]

    def start(self) -> None:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def answer(self, wire: bytes) -> bytes:
        """The answer to one question, as bytes."""
        asked = dns.message.from_wire(wire)
        reply = dns.message.make_response(asked, recursion_available=True)
        question = asked.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.asked.append(name)
        address = held(self.addresses, name)
        kind = dns.rdatatype.to_text(question.rdtype)
        if others := self.records.get((name, kind)):
            reply.answer = [dns.rrset.from_text(question.name, TTL_S, dns.rdataclass.IN, kind, *others)]
        elif address is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif question.rdtype == dns.rdatatype.A:
            reply.answer = [dns.rrset.from_text(question.name, TTL_S, dns.rdataclass.IN, "A", address)]
        return reply.to_wire()


def held(addresses: Mapping[str, str], name: str) -> str | None:
    """The address of a name: its own, else that of the nearest wildcard above it."""
    labels = name.split(".")
    wildcards = (f"*.{'.'.join(labels[at:])}" for at in range(1, len(labels)))
    return next((addresses[key] for key in (name, *wildcards) if key in addresses), None)


class _Datagram(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, sock = self.request
        sock.sendto(self.server.names.answer(data), self.client_address)  # type: ignore[attr-defined]


class _Stream(socketserver.StreamRequestHandler):
    timeout = 10

    def handle(self) -> None:
        while size := int.from_bytes(self.rfile.read(2)):
            reply = self.server.names.answer(self.rfile.read(size))  # type: ignore[attr-defined]
            self.wfile.write(len(reply).to_bytes(2) + reply)


def _served(
    kind: type[socketserver.BaseServer],
    address: tuple[str, int],
    handler: type[socketserver.BaseRequestHandler],
    names: Names,
) -> socketserver.BaseServer:
    server = type("Server", (kind,), {"allow_reuse_address": True, "daemon_threads": True})(address, handler)
    server.names = names
    return server  # type: ignore[no-any-return]
