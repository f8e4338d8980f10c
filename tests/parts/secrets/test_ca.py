"""Certificates of binderbox's own authority, checked by OpenSSL's own verification in a real TLS handshake."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from binderbox.parts.secrets.ca import CA_DAYS, KeyPair, judge_leaf, make_ca, make_leaf, names_for

NOW = datetime(2026, 11, 21, tzinfo=UTC)
NAMES = names_for("b.example.org")


def handshake(folder: Path, trusted: KeyPair, leaf: KeyPair, name: str) -> str | None:
    """Connect once over a socket pair; return why the client refused, or None."""
    (folder / "crt").write_text(leaf.certificate_pem)
    (folder / "key").write_text(leaf.key_pem)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "crt", folder / "key")
    asking = ssl.create_default_context(cadata=trusted.certificate_pem)
    asking.verify_flags |= ssl.VERIFY_X509_STRICT
    here, there = socket.socketpair()

    def serve() -> None:
        with there, suppress(OSError):
            serving.wrap_socket(there, server_side=True).close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with here:
            asking.wrap_socket(here, server_hostname=name).close()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    finally:
        thread.join()
    return None


@pytest.mark.parametrize("name", ["b.example.org", "hub.b.example.org", "anything.b.example.org"])
def test_a_strict_client_accepts_every_public_name(tmp_path: Path, name: str) -> None:
    authority = make_ca("b.example.org")
    assert handshake(tmp_path, authority, make_leaf(authority, NAMES), name) is None


def test_a_client_refuses_another_name_and_another_authority(tmp_path: Path) -> None:
    authority = make_ca("b.example.org")
    leaf = make_leaf(authority, NAMES)
    assert "Hostname mismatch" in str(handshake(tmp_path, authority, leaf, "example.org"))
    assert handshake(tmp_path, make_ca("b.example.org"), leaf, "b.example.org") is not None


def test_a_leaf_can_sign_nothing(tmp_path: Path) -> None:
    authority = make_ca("b.example.org")
    forged = make_leaf(make_leaf(authority, NAMES), ["bank.example"])
    assert handshake(tmp_path, authority, forged, "bank.example") is not None


def test_lifetimes() -> None:
    authority = make_ca("b.example.org", NOW)
    for pem, days in (
        (authority.certificate_pem, CA_DAYS),
        (make_leaf(authority, NAMES, NOW).certificate_pem, 397),
    ):
        held = x509.load_pem_x509_certificate(pem.encode())
        assert held.not_valid_before_utc == NOW - timedelta(hours=1)
        assert held.not_valid_after_utc - held.not_valid_before_utc == timedelta(days=days)
    late = make_leaf(authority, NAMES, NOW + timedelta(days=3600))
    assert x509.load_pem_x509_certificate(
        late.certificate_pem.encode()
    ).not_valid_after_utc < NOW + timedelta(days=3650)


def test_a_leaf_stays_until_it_ends_soon_or_no_longer_fits() -> None:
    authority = make_ca("b.example.org", NOW)
    leaf = make_leaf(authority, NAMES, NOW).certificate_pem
    ca = authority.certificate_pem
    assert judge_leaf(leaf, ca, NAMES, NOW) == "keep"
    assert judge_leaf(leaf, ca, tuple(reversed(NAMES)), NOW + timedelta(days=366)) == "keep"
    assert judge_leaf(leaf, ca, NAMES, NOW + timedelta(days=368)) == "ends soon"
    assert judge_leaf(leaf, ca, names_for("c.example.org"), NOW) == "other names"
    assert judge_leaf(leaf, make_ca("b.example.org", NOW).certificate_pem, NAMES, NOW) == "other authority"
    assert judge_leaf("", ca, NAMES, NOW) == "unreadable"
    assert judge_leaf(ca, ca, NAMES, NOW) == "unreadable"  # no names in it


def test_keys_are_not_shown() -> None:
    authority = make_ca("b.example.org")
    assert "PRIVATE" in authority.key_pem
    assert "PRIVATE" not in repr(authority)


def test_long_names_fit() -> None:
    domain = ".".join(["x" * 60, "y" * 60, "example.org"])
    leaf = make_leaf(make_ca(domain), names_for(domain))
    assert judge_leaf(leaf.certificate_pem, leaf.certificate_pem, names_for(domain)) == "other authority"


def test_a_certificate_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a name"):
        make_leaf(make_ca("x"), [])
