"""The Internet as far as binderbox installs from it, at one address of this machine and under the real names.

    with World(address, directory) as internet: ...

A machine whose resolver is `address`, and which trusts `internet.ca_pem`, finds there release hosts, registries and the
chart index, with the rig's artifacts; `internet.versions(pinned=True)` is the versions.toml that goes with them.
"""

from __future__ import annotations

import posixpath
import ssl
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, Self

from binderbox.parts.secrets.ca import make_ca, make_leaf
from tests.rig.internet.chartindex import ChartIndex
from tests.rig.internet.faults import Faults
from tests.rig.internet.front import Front, Request
from tests.rig.internet.goods import goods, images_by_name, versions_text
from tests.rig.internet.mirror import MIRROR, Mirror
from tests.rig.internet.names import Names
from tests.rig.internet.pace import Pace
from tests.rig.internet.registries import DOCKER_BLOBS, PLACES, Registry
from tests.rig.internet.releases import ASSETS, Releases
from tests.rig.internet.replies import Asked, Reply, Role, content, text
from tests.rig.internet.tokens import Tokens

# RFC 6761: nobody else's. It has every file too, for redirects that lead away.
ELSEWHERE = "elsewhere.internet.test"


class _Server(Protocol):
    def start(self) -> None: ...
    def close(self) -> None: ...


class World:
    """From `with`, until its block ends. Ports 53, 80 and 443 of `address` must be free.

    `names.addresses` can be added to, such as with a member's own name. `more` are hosts beside those that are always here.
    """

    def __init__(self, address: str, directory: Path, more: Mapping[str, Role] = {}) -> None:
        self._goods = goods()
        self._releases, charts = Releases(self._goods), ChartIndex(self._goods)
        self._registries = self._make_registries(directory)
        roles = {**self._releases.roles, **charts.roles, ELSEWHERE: self._elsewhere}
        for registry in self._registries:
            roles |= registry.roles
        self.mirror = Mirror(dict(zip(self._registry_names, self._registries, strict=True)))
        roles |= {MIRROR: self.mirror.ask, **more}
        authority = make_ca("the rig's Internet")
        self.ca_pem = authority.certificate_pem
        leaf = make_leaf(authority, sorted(roles))
        both = directory / "front.pem"
        both.write_text(leaf.certificate_pem + leaf.key_pem)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(both)
        self._front = Front(address, roles, tls)
        self.names = Names(address, dict.fromkeys(roles, address))

    @property
    def asked(self) -> list[str]:
        """The names that were asked for."""
        return self.names.asked

    @property
    def requests(self) -> list[Request]:
        return self._front.requests

    @property
    def faults(self) -> Faults:
        return self._front.faults

    @property
    def leaked(self) -> list[Request]:
        """Those that brought a credential to a host that is none of the registries'."""
        return [
            one for one in self.requests if one.authorized and one.host in (ASSETS, DOCKER_BLOBS, ELSEWHERE)
        ]

    @property
    def rate_bytes_s(self) -> float | None:
        """What all hosts together send; None for as fast as they can."""
        return self._front.pace.bytes_s if self._front.pace else None

    @rate_bytes_s.setter
    def rate_bytes_s(self, rate: float | None) -> None:
        self._front.pace = Pace(rate) if rate else None

    def versions(self, pinned: bool) -> str:
        """The text of a versions.toml for what is here, with sums or without."""
        return versions_text(self._goods, pinned=pinned)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            servers: list[_Server] = [*self._registries, self._front, self.names]
            for server in servers:
                server.start()
                stack.callback(server.close)
            self._stop = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.close()

    def _make_registries(self, directory: Path) -> list[Registry]:
        tokens = Tokens(directory)
        held: dict[str, dict[str, Path]] = {}
        for image, archive in images_by_name(self._goods).items():
            registry, _, name = image.partition("/")
            held.setdefault(registry, {})[name] = archive
        self._registry_names = tuple(held)
        return [Registry(PLACES[name], images, directory / name, tokens) for name, images in held.items()]

    def _elsewhere(self, asked: Asked) -> Reply:
        """Any file of a release by its last name, wherever it belongs."""
        files = {file.name: file for file in (*self._releases.github.values(), *self._releases.helm.values())}
        file = files.get(posixpath.basename(asked.path))
        return content(asked, file.content) if file else text(404, "nor is it here\n")
