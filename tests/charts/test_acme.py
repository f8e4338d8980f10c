"""Certificates by ACME: a real traefik as the chart renders it, and a real authority."""

from __future__ import annotations

import contextlib
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509

from binderbox.decide import orders
from binderbox.decide.certificates import Received
from binderbox.member.model import Member
from binderbox.parts.helm.inputs import ChartInputs
from binderbox.parts.ingress import acme
from binderbox.parts.ingress.refusals import last_of, parse_refusals
from binderbox.parts.ingress.values import make_inputs
from binderbox.world.host.received import parse_received
from tests.charts import rendering
from tests.charts.ingresses import BINDER, HUB, Ingress, free_port, running
from tests.rig import authority
from tests.rig.authority import Authority
from tests.waiting import wait_until

PORTS = ("web", "websecure", "ping")


class Site:
    """A member's ingress and its authority, over restarts of the one."""

    def __init__(self, directory: Path, asked: Authority, ports: dict[str, int]) -> None:
        self.directory, self.asked, self.ports = directory, asked, ports
        self.kept = directory / "kept"
        self.kept.mkdir()
        self.member = Member(domain=BINDER, acme_server=asked.url)
        self.tls = ssl.create_default_context(cadata=asked.root_pem())
        (directory / "ca.pem").write_text(asked.ca_pem)

    def inputs(self) -> ChartInputs:
        return make_inputs(self.member, rendering.artifacts(), self.received())

    def received(self) -> dict[str, tuple[Received, ...]]:
        """As the look at a host reads it."""
        lines = []
        for file in sorted(self.kept.glob("acme*.json")):
            held = [word.split('"')[0] for word in file.read_text().split('"certificate": "')[1:]]
            lines += [f"file {file.name}", *held]
        return parse_received(lines)

    def run(
        self, ready: Callable[[Ingress], bool] | None = None
    ) -> contextlib.AbstractContextManager[Ingress]:
        where = Path(tempfile.mkdtemp(dir=self.directory))
        env = {"SSL_CERT_FILE": str(self.directory / "ca.pem")}
        return running(self.inputs(), where, self.tls, ports=self.ports, kept=self.kept, env=env, ready=ready)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    with contextlib.ExitStack() as stack:

        def made(**how: int) -> Site:
            ports = {name: free_port() for name in PORTS}
            asked = stack.enter_context(Authority(ports["web"], **how))
            return Site(tmp_path, asked, ports)

        yield made


def both_trusted(ingress: Ingress) -> bool:
    with contextlib.suppress(OSError):  # of a certificate that nobody trusts
        return all(ingress.ask("GET", name, "/").status == 200 for name in (BINDER, HUB))
    return False


def shown(ingress: Ingress) -> x509.Certificate:
    return x509.load_pem_x509_certificate(
        ssl.get_server_certificate(("127.0.0.1", ingress.https_port)).encode()
    )


def test_both_names_are_ordered_once_and_kept_over_a_restart(site: Callable[..., Site]) -> None:
    member = site()
    with member.run(both_trusted):
        assert member.asked.orders == 2
    received = member.received()[acme.storage(member.asked.url)]
    assert sorted(name for one in received for name in one.names) == [BINDER, HUB]
    assert [round(one.life_days) for one in received] == [90, 90]
    with member.run(both_trusted):
        pass
    assert member.asked.orders == 2
    assert member.asked.accounts == 1


@pytest.mark.long
def test_a_short_certificate_is_renewed_in_time_and_no_request_fails(site: Callable[..., Site]) -> None:
    """traefik looks each minute for what has less than 20 minutes left; at its start at once."""
    member = site(life_s=20 * 60 + 20)
    with member.run(both_trusted):
        pass
    assert acme.duration_hours(member.received()[acme.storage(member.asked.url)]) == 1
    failed, answered, over = [], [0], threading.Event()
    with member.run(both_trusted) as ingress:
        orders = member.asked.orders

        def visit() -> None:
            while not over.is_set():
                try:
                    assert ingress.ask("GET", BINDER, "/").status == 200
                    answered[0] += 1
                except Exception as error:
                    failed.append(str(error))
                time.sleep(0.02)

        visitor = threading.Thread(target=visit)
        visitor.start()
        before = {one.ends for one in member.received()[acme.storage(member.asked.url)]}
        wait_until(
            lambda: not before & {one.ends for one in member.received()[acme.storage(member.asked.url)]},
            120,
            "both certificates are renewed",
        )
        seen = answered[0]
        wait_until(lambda: answered[0] > seen + 10, 20, "visitors with the new one")
        over.set()
        visitor.join()
    assert member.asked.orders >= orders + 2
    assert failed == []
    assert answered[0] > 100


REFUSALS = {
    "caa": (authority.caa(BINDER), f"CAA record for {BINDER} prevents issuance"),
    "rateLimited": (
        authority.rate_limited("2026-12-01 12:00:00 UTC", 3600),
        "retry after 2026-12-01 12:00:00 UTC",
    ),
    "invalidContact": (authority.forbidden_contact("example.org"), 'forbidden domain "example.org"'),
    "serverInternal": (authority.DOWN, "down for maintenance"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_what_the_authority_says_is_read_from_the_log_and_a_new_look_orders_again(
    site: Callable[..., Site], kind: str
) -> None:
    member = site()
    member.asked.trouble, words = REFUSALS[kind]

    def told(ingress: Ingress) -> bool:
        return last_of(parse_refusals(ingress.log.read_text().splitlines()), BINDER) is not None

    with member.run(told) as ingress:
        found = last_of(parse_refusals(ingress.log.read_text().splitlines()), BINDER)
        assert found is not None
        assert (found.kind, words in found.said) == (kind, True), found
        assert found.way_out(BINDER)
        assert "{" not in found.way_out(BINDER)
        member.asked.trouble = None
        (ingress.routes / "order.yml").write_text(orders.render_route(orders.Orders(1, 600.0)))
        wait_until(lambda: both_trusted(ingress), 30, "certificates after all")


def test_a_shut_port_is_told_too(site: Callable[..., Site]) -> None:
    member = site()
    member.ports["web"] = free_port()  # another than the one that the authority asks at
    with member.run(lambda ingress: bool(parse_refusals(ingress.log.read_text().splitlines()))) as ingress:
        (first, *_) = parse_refusals(ingress.log.read_text().splitlines())
    assert first.kind == "connection"
    assert "port 80" in first.way_out(BINDER)


def test_another_authority_has_a_file_of_its_own() -> None:
    names = {
        acme.storage(acme.server(Member(domain=BINDER, acme_server=one)))
        for one in ("production", "staging", "https://a.example/dir")
    }
    assert len(names) == 3
    assert "acme.json" in names
