"""A cloud whose resolver has the address of its metadata service, as Google's and Oracle's have, around a virtual machine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.federation.serving import Handler, Served
from tests.rig.internet.names import Names
from tests.vm.conftest import Machine

METADATA = "169.254.169.254"
CREDENTIAL = "a credential of the cloud"


class Metadata(Served):
    """The service, at port 80; `asked` are the paths that were asked for."""

    def __init__(self) -> None:
        self.handler = _Metadata
        self.asked: list[str] = []
        super().__init__(bind=METADATA, port=80)


class _Metadata(Handler):
    def answer(self) -> None:
        self.server.owner.asked.append(self.path)  # type: ignore[attr-defined]
        self.send(200, CREDENTIAL.encode())


@contextmanager
def cloud_around(host: Machine, addresses: Mapping[str, str]) -> Iterator[Metadata]:
    """The machine asks there for names, and for what is the node's alone."""
    with one_more_address(METADATA):
        service, names = Metadata(), Names(METADATA, addresses)
        service.start()
        names.start()
        try:
            replace = ["sh", "-c", "rm /etc/resolv.conf && cat >/etc/resolv.conf"]
            host.exec(replace, stdin=f"nameserver {METADATA}\n".encode())
            yield service
        finally:
            host.exec(["ln", "-sf", "../run/systemd/resolve/stub-resolv.conf", "/etc/resolv.conf"])
            names.close()
            service.close()


@contextmanager
def one_more_address(address: str) -> Iterator[None]:
    """This machine has it, too."""
    words = [f"{address}/32", "dev", "lo"]
    subprocess.run(["ip", "addr", "replace", *words], check=True)  # a run that was killed leaves it
    try:
        yield
    finally:
        subprocess.run(["ip", "addr", "del", *words], check=True)
