"""What a TLS server shows, whether or not it is to be trusted."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from urllib.parse import urlsplit

from cryptography import x509

from binderbox.checks.probe import Certificate
from binderbox.world.http.channel import CONNECT_TIMEOUT_S
from binderbox.world.http.web import Web


def seen(url: str, web: Web) -> Certificate | None:
    """The certificate behind an https URL; None for http, and where nothing speaks TLS."""
    parts = urlsplit(url)
    if parts.scheme != "https" or parts.hostname is None:
        return None
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname = False
    anyone.verify_mode = ssl.CERT_NONE
    try:
        shown = x509.load_der_x509_certificate(_handshake(web, parts.hostname, parts.port or 443, anyone))
    except OSError:
        return None
    error = ""
    try:
        _handshake(web, parts.hostname, parts.port or 443, web.tls)
    except OSError as refused:
        error = str(refused)
    return Certificate(
        names=_names(shown),
        issuer=shown.issuer.rfc4514_string(),
        days_left=(shown.not_valid_after_utc - datetime.now(UTC)).total_seconds() / 86400,
        trusted=not error,
        error=error,
        life_days=(shown.not_valid_after_utc - shown.not_valid_before_utc).total_seconds() / 86400,
    )


def _handshake(web: Web, name: str, port: int, tls: ssl.SSLContext) -> bytes:
    with (
        socket.create_connection((web.address_of(name), port), CONNECT_TIMEOUT_S) as plain,
        tls.wrap_socket(plain, server_hostname=name) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(names.value.get_values_for_type(x509.DNSName))
