"""The secrets that a node keeps: which are made there, which an operator gives, and what each is for."""

from __future__ import annotations

from dataclasses import dataclass

from binderbox import layout
from binderbox.parts.guard.bans import ADDRESSES, ALLOWED, STRINGS

TLS_CERTIFICATE, TLS_KEY = "tls/tls.crt", "tls/tls.key"  # below /etc/binderbox


@dataclass(frozen=True)
class SecretKind:
    """One secret; `made` says how the node makes it (make-secrets.sh), None that an operator gives it."""

    name: str
    purpose: str
    made: str | None = None


KINDS = (
    SecretKind("registry-http-secret", "signs the registry's upload states", "hex32"),
    SecretKind("registry-user", "the registry's one user", f"text:{layout.REGISTRY_USER}"),
    SecretKind("registry-password", "its password", "hex24"),
    SecretKind(
        "registry-htpasswd",
        "the same pair as the registry checks it",
        f"bcrypt:{layout.REGISTRY_USER}:registry-password",
    ),
    SecretKind("s3-root-user", "administers the object store", "hex10"),
    SecretKind("s3-root-password", "its password", "hex20"),
    SecretKind("s3-registry-access-key", "the registry's key, good for its bucket alone", "hex10"),
    SecretKind(
        "s3-registry-secret-key", "the secret half of it", "hex20"
    ),  # MinIO takes 40 characters at most
    SecretKind("s3-access-key", "the key of the config's object_store, where there is one"),
    SecretKind("s3-secret-key", "the secret half of it"),
    SecretKind("hub-cookie-secret", "signs JupyterHub's cookies", "hex32"),
    SecretKind("hub-crypt-key", "encrypts JupyterHub's stored state", "hex32"),
    SecretKind("proxy-token", "JupyterHub to its proxy", "hex32"),
    SecretKind("binder-service-token", "BinderHub to JupyterHub", "hex32"),
    # without any, each BinderHub makes up its own at its start, and refuses the pages that the one before it gave out
    SecretKind("own-build-token", "signs this member's launch pages until build-token is given", "hex32"),
    SecretKind("build-token", "the federation's: launches from mybinder.org carry a token signed with it"),
    SecretKind("proxy-url", "the site's proxy with its login, in the place of the config's"),
    SecretKind(
        layout.DOCKER_LOGIN,
        "user:token of an account at docker.io without private images, for its higher limit; any build may use it",
    ),
    SecretKind(STRINGS, "parts of commands, a line each, whose processes cryptnono kills"),
    SecretKind(ALLOWED, "regular expressions, a line each, of commands that it spares"),
    SecretKind(ADDRESSES, "IPv4 addresses, a line each, whose callers it kills"),
    SecretKind("github-client-id", "GitHub OAuth application, for more than 60 calls an hour"),
    SecretKind("github-client-secret", "its secret"),
)

MADE = {kind.name: kind.made for kind in KINDS if kind.made}
GIVEN = {kind.name: kind.purpose for kind in KINDS if kind.made is None}
