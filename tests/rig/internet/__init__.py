"""A small Internet of the rig's own, at an address of this machine: names, and a registry that is reached by name.

    with Internet(address, directory) as internet: ...

`internet.zone` is answered here and nowhere else; what it does not hold is told not to exist, and so is every name
beyond it. `internet.ca_pem` vouches for the registry, `internet.asked` are the names that were asked for.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Self

from binderbox.parts.secrets.ca import make_ca, make_leaf
from tests.federation.deployment import Store
from tests.rig.internet.names import Names

ZONE = "internet.test"  # RFC 6761: nobody else's
REGISTRY = f"registry.{ZONE}"


class Internet:
    """From `with`, until its block ends. Ports 53 and 443 of `address` must be free."""

    def __init__(self, address: str, directory: Path) -> None:
        authority = make_ca("the rig's Internet")
        self.zone, self.ca_pem = ZONE, authority.certificate_pem
        leaf = make_leaf(authority, [REGISTRY])
        both = directory / "registry.pem"
        both.write_text(leaf.certificate_pem + leaf.key_pem)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(both)
        (directory / "store").mkdir()
        self.registry = Store(address, directory / "store", port=443, tls=tls)
        self.names = Names(address, {REGISTRY: address})

    @property
    def asked(self) -> list[str]:
        return self.names.asked

    def __enter__(self) -> Self:
        self.registry.start()
        self.names.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.names.close()
        self.registry.close()
