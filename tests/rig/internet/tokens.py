"""Tokens with which registries let everybody pull: JWTs as distribution's `auth.token` verifies them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

LIFE_S = 300
KEY_ID = "rig"


class Tokens:
    """One authority for tokens; `setting` is what a registry needs to know of it."""

    def __init__(self, directory: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self._jwks = directory / "jwks.json"
        self._jwks.write_text(json.dumps({"keys": [{**public, "kid": KEY_ID, "use": "sig", "alg": "ES256"}]}))

    def setting(self, realm: str, service: str) -> dict[str, Any]:
        return {"token": {"realm": realm, "service": service, "issuer": service, "jwks": str(self._jwks)}}

    def pull(self, service: str, scopes: Iterable[str], has: Callable[[str], bool]) -> dict[str, Any]:
        """What a token server answers: a token for pulling what there is, whatever else was asked for."""
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            if kind == "repository" and "pull" in actions.split(",") and has(name):
                access.append({"type": kind, "name": name, "actions": ["pull"]})
        now_s = int(time.time())
        claims = {
            "iss": service,
            "aud": service,
            "sub": "",
            "iat": now_s,
            # a host's clock may be behind
            "nbf": now_s - 60,
            "exp": now_s + LIFE_S,
            "jti": str(uuid.uuid4()),
            "access": access,
        }
        token = jwt.encode(claims, self._key, "ES256", {"kid": KEY_ID})
        issued = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"token": token, "access_token": token, "expires_in": LIFE_S, "issued_at": issued}
