"""Rules for single values of a member's config: each returns the value in its canonical form or raises ValueError.

The text of a ValueError completes "expected a host name (...)"; it never repeats the value.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, ip_address, ip_network
from urllib.parse import urlsplit

from cryptography import x509

from binderbox.member.window import in_window

# ssh; etcd; the API server and what k3s puts beside it; kubelet, kube-proxy and their health ports
RESERVED_PORTS = frozenset({22, 2379, 2380, 6443, 6444, 10248, 10249, 10250, 10256, 10257, 10258, 10259})
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SYSTEM_DIRS = (
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/tmp",
    "/usr",
)


def domain(text: str) -> str:
    name = text.lower()
    if "://" in name or "/" in name:
        raise ValueError("without scheme and path")
    try:
        ip_address(name)
    except ValueError:
        pass
    else:
        raise ValueError("a name, not an address: certificates and the wildcard need one")
    if not name.isascii():
        raise ValueError("in its ASCII form (xn--...)")
    labels = name.split(".")
    if len(labels) < 2:
        raise ValueError("with at least two parts, such as binder.example.org")
    for label in labels:
        if not _LABEL.fullmatch(label):
            shown = label or "an empty part"
            raise ValueError(
                f"RFC 1123 allows letters, digits and inner hyphens, 1 to 63 each; not {shown!r}"
            )
    if labels[-1].isdigit():
        raise ValueError("the last part cannot be a number")
    if len(f"hub.{name}") > 253:
        raise ValueError("at most 249 characters, because hub.<domain> is a name too")
    return name


def acme_server(text: str) -> str:
    if text in ("production", "staging"):
        return text
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("of an ACME directory, beginning with https://")
    return text


def email(text: str) -> str:
    local, at, host = text.rpartition("@")
    if not (at and local and re.fullmatch(r"[^\s@<>\"']+", local)):
        raise ValueError("one address, such as ops@example.org")
    domain(host)
    return text


def contact(text: str) -> str:
    if text.startswith("https://") and " " not in text and len(text) > len("https://"):
        return text
    return email(text.removeprefix("mailto:"))


def address(text: str) -> str:
    return str(ip_address(text))


def any_network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        loose = ip_network(text, strict=False)  # raises again when it is no network at all
        raise ValueError(f"has host bits set; did you mean {loose}?") from None


def network(text: str) -> str:
    found = ip_network(any_network(text))
    shortest = 8 if found.version == 4 else 16
    if found.prefixlen < shortest:
        raise ValueError(f"at most a /{shortest}: a wider opening would undo the firewall")
    return str(found)


def inner_network(text: str) -> str:
    found = ip_network(any_network(text))
    if not isinstance(found, IPv4Network) or not any(found.subnet_of(IPv4Network(one)) for one in PRIVATE):
        raise ValueError(f"within {', '.join(PRIVATE)}")
    if not 12 <= found.prefixlen <= 20:
        raise ValueError("from a /12 to a /20: a node takes a /22 of the pods'")
    return str(found)


def public_port(port: int) -> int:
    if port in RESERVED_PORTS or 30000 <= port <= 32767:
        raise ValueError("ssh, Kubernetes or its node ports use that one")
    return port


def data_dir(path: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9_][A-Za-z0-9._-]*)+", path):
        raise ValueError("letters, digits, `.`, `_`, `-`; no `..`, no slash at the end")
    if path.count("/") < 2 or any(path == d or path.startswith(f"{d}/") for d in _SYSTEM_DIRS):
        raise ValueError("a directory of its own, outside the system's")
    if path == "/var/lib/rancher" or path.startswith("/var/lib/rancher/"):
        raise ValueError("outside k3s's own directory, which goes with k3s")
    return path


def certificate(pem: str) -> str:
    if "PRIVATE KEY" in pem:
        raise ValueError("holds a private key; give the certificate alone")
    try:
        x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise ValueError("as PEM text, from -----BEGIN CERTIFICATE----- on") from error
    return pem


def source_url(text: str) -> str:
    """Where software comes from: https, or in plain from a private address, which is a mirror of the site."""
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http", "git") or not parts.hostname or parts.username or parts.query:
        raise ValueError("https://..., without a user and a query")
    if parts.scheme != "https":
        try:
            private = ip_address(parts.hostname).is_private
        except ValueError:
            private = False
        if not private:
            raise ValueError(f"https://; {parts.scheme}:// is for a private address only")
    return text.rstrip("/")


def branch(text: str) -> str:
    if (
        not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}", text)
        or ".." in text
        or text.endswith(("/", ".lock"))
    ):
        raise ValueError("letters, digits, and . _ / - between them")
    return text


def registry(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?", text) or "." not in text:
        raise ValueError("a host, as the names of its images begin, without scheme and path")
    return text


def endpoint(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("beginning with https:// or http://, without a password")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("without a path: containerd and BuildKit understand it differently")
    return f"{parts.scheme}://{parts.netloc}"


def bucket(text: str) -> str:
    """By S3's rules for new buckets, without dots, which no wildcard certificate covers."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", text):
        raise ValueError("3 to 63 small letters, digits and inner hyphens")
    return text


def region(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,40}", text):
        raise ValueError("such as us-east-1")
    return text


def proxy(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.path.strip("/"):
        raise ValueError("such as http://proxy.example.edu:3128")
    if "@" in parts.netloc:
        raise ValueError("without a login, which is a secret: binderbox secrets set HOST proxy-url")
    return f"{parts.scheme}://{parts.netloc}"


def not_proxied(text: str) -> str:
    if not re.fullmatch(r"\.?[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f.:]+(/[0-9]+)?", text.lower()):
        raise ValueError("a name, the end of names with a dot before it, an address or a network")
    return text.lower()


def image_source(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)+", text):
        raise ValueError("host and path without a tag, such as quay.io/jupyterhub/repo2docker")
    return text


def window(text: str) -> str:
    in_window(text, 0)
    return text
