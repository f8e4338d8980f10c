"""Certificates that the ingress got from an authority, as its own files have them: base64 of a chain in PEM."""

from __future__ import annotations

import base64
import binascii

from cryptography import x509

from binderbox.decide.certificates import Received


def parse_received(lines: list[str]) -> dict[str, tuple[Received, ...]]:
    """Lines of `file NAME`, each with the chains in it, to what was received by file; what is no chain is left out."""
    found: dict[str, tuple[Received, ...]] = {}
    name = ""
    for line in lines:
        if line.startswith("file "):
            name = line.removeprefix("file ")
            found[name] = ()
        elif one := _received(line):
            found[name] = (*found.get(name, ()), one)
    return found


def _received(line: str) -> Received | None:
    """A file may have been cut by a power cut, and the ingress orders anew what it cannot read."""
    try:
        chain = base64.b64decode(line, validate=True)
        leaf = x509.load_pem_x509_certificate(chain)
    except (ValueError, binascii.Error):
        return None
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    return Received(
        names=tuple(names.get_values_for_type(x509.DNSName)),
        begins=leaf.not_valid_before_utc,
        ends=leaf.not_valid_after_utc,
        chain=chain.decode("ascii"),
    )
