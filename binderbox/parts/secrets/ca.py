"""binderbox's own certificate authority, for `tls: own-ca`: one CA per node, and one leaf for its public names.

P-256 keys, PEM text. The CA lasts 10 years, a leaf 397 days (what browsers accept of any issuer); a leaf is made anew
30 days before its end, or when it lacks a name (`judge_leaf`). `now` is given by the caller, so that results can be
tested; everything starts an hour earlier, because clocks differ. A CA key signs server names only, never another CA.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS = 3650
LEAF_DAYS = 397
RENEW_DAYS = 30
BACKDATED = timedelta(hours=1)

LeafVerdict = Literal["keep", "unreadable", "ends soon", "other names", "other authority"]


@dataclass(frozen=True)
class KeyPair:
    """A certificate with its key, both as PEM; the key is not shown."""

    certificate_pem: str
    key_pem: str = field(repr=False)


def names_for(domain: str) -> tuple[str, ...]:
    """Names that a member's leaf holds; the wildcard covers the hub, which is named all the same."""
    return (domain, f"*.{domain}", f"hub.{domain}")


def make_ca(name: str, now: datetime | None = None) -> KeyPair:
    """Make a certificate authority called `name` (such as the member's domain)."""
    start = (now or datetime.now(UTC)) - BACKDATED
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"binderbox CA of {name}"[:64])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def make_leaf(ca: KeyPair, names: Sequence[str], now: datetime | None = None) -> KeyPair:
    """Make a server certificate for DNS `names`; at least one. Its end is never after the CA's."""
    if not names:
        raise ValueError("a certificate needs a name")
    start = (now or datetime.now(UTC)) - BACKDATED
    issuer = x509.load_pem_x509_certificate(ca.certificate_pem.encode())
    ca_key = serialization.load_pem_private_key(ca.key_pem.encode(), password=None)
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise ValueError("the CA's key is not of ours: expected an elliptic curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(names[0] if len(names[0]) <= 64 else "binderbox member"))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(min(start + timedelta(days=LEAF_DAYS), issuer.not_valid_after_utc))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
    )
    return _pair(builder.sign(ca_key, hashes.SHA256()), key)


def judge_leaf(leaf_pem: str, ca_pem: str, names: Sequence[str], now: datetime | None = None) -> LeafVerdict:
    """Say whether a leaf that is there can stay, or why it must be made anew."""
    try:
        leaf = x509.load_pem_x509_certificate(leaf_pem.encode())
        issuer = x509.load_pem_x509_certificate(ca_pem.encode())
        held = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return "unreadable"
    try:
        leaf.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return "other authority"
    if leaf.not_valid_after_utc - (now or datetime.now(UTC)) < timedelta(days=RENEW_DAYS):
        return "ends soon"
    return "keep" if set(names) == set(held.get_values_for_type(x509.DNSName)) else "other names"


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(**given: bool) -> x509.KeyUsage:
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: given.get(name, False) for name in every})


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )
