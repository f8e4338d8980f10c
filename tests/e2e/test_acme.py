"""A member whose certificates are an authority's, from the rig's Internet: ordered once, kept, refused, ordered again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from binderbox import layout
from binderbox.decide import orders
from binderbox.decide.orders import Orders
from binderbox.parts.ingress import acme
from tests.e2e.test_follow import gateway
from tests.e2e.test_from_the_internet import Scene, use_resolver
from tests.rig import authority
from tests.rig.authority import Authority, Trouble
from tests.rig.client import DOMAIN, Client
from tests.rig.egress import site_settings
from tests.rig.host import RigHost
from tests.rig.internet.world import World
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(2400)]
NAME = "acme.internet.test"
ROOT = "/usr/local/share/ca-certificates/the-authoritys-root.crt"


@dataclass
class Site:
    scene: Scene
    asked: Authority

    @property
    def host(self) -> RigHost:
        return self.scene.host

    @property
    def held(self) -> str:
        """The ingress's file on the node."""
        return f"{layout.DATA}/{acme.DIRECTORY}/{acme.storage(self.asked.url)}"

    def install(self, code: int = 0) -> dict[str, object]:
        return self.scene.binderbox("install", "--yes").must(code).result

    def check(self, id: str = "BBX-I03") -> dict[str, str]:
        found = self.scene.binderbox("check").result["checks"]
        return next(one for one in found if one["id"] == id)

    def forget(self) -> None:
        """As if nothing had ever been received."""
        self.kubectl("scale", "deployment/ingress", "--replicas=0")
        self.kubectl(
            "wait", "pod", "--selector=app.kubernetes.io/name=ingress", "--for=delete", "--timeout=60s"
        )
        self.host.exec(["rm", "-f", self.held])
        self.kubectl("scale", "deployment/ingress", "--replicas=1")

    def order_again(self) -> None:
        """What the node's watch does, without the ten minutes."""
        long_ago = orders.render(Orders(0, 1.0))
        self.host.exec(["sh", "-c", f"cat > {layout.ORDERS_RECORD}"], stdin=long_ago.encode())
        self.host.exec(["systemctl", "start", "binderbox-watch.service"], timeout_s=900)

    def kubectl(self, *words: str) -> str:
        return self.host.exec([layout.K3S, "kubectl", "-n", layout.NAMESPACE, *words], timeout_s=120)


@pytest.fixture(scope="module")
def site(rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    host, home = RigHost.start("acme"), tmp_path_factory.mktemp("client")
    here = gateway(host)
    root = home / "root.pem"
    try:
        with (
            World(here, tmp_path_factory.mktemp("internet")) as internet,
            Authority(80, names_at=host.address, name=NAME, address=here) as asked,
        ):
            internet.names.addresses[NAME] = here
            use_resolver(host, here)
            root.write_text(asked.root_pem())
            # every machine knows the roots of public authorities
            host.exec(["sh", "-c", f"cat > {ROOT} && update-ca-certificates"], stdin=root.read_bytes())
            scene = Scene(host, Client(home, here, root), internet, home / "versions.toml")
            scene.configure(
                tls="acme",
                acme_server=asked.url,
                egress_allow=[{"network": f"{here}/32", "ports": [443, asked.port]}],
                extra_ca=[internet.ca_pem, asked.ca_pem, *(site_settings()["extra_ca"] or [])],
            )
            scene.pin(pinned=True)
            yield Site(scene, asked)
    finally:
        host.stop()


def test_install_orders_both_names_and_a_client_that_knows_the_root_alone_launches(site: Site) -> None:
    done = site.install()
    assert len(done["launches"]) == 2  # type: ignore[arg-type]
    assert site.asked.orders == 2
    assert "by CN=Pebble" in site.check()["measured"]
    gauges = {
        one["name"]: one
        for one in site.scene.client.binderbox(site.host, "status", "--json").result["gauges"]
    }
    assert 88 < gauges["certificate"]["value"] <= gauges["certificate"]["limit"] == 90
    assert site.install()["changed"] == []
    assert site.asked.orders == 2


def test_a_restart_and_a_reboot_order_nothing(site: Site) -> None:
    site.kubectl("rollout", "restart", "deployment/ingress")
    site.kubectl("rollout", "status", "deployment/ingress", "--timeout=100s")
    wait_until(lambda: site.check()["verdict"] == "pass", 60, "the ingress after its restart")
    assert site.asked.orders == 2


def test_an_uninstall_keeps_account_and_certificates_for_the_next_install(site: Site) -> None:
    site.scene.client.binderbox(site.host, "uninstall", "--yes").must()
    assert len(site.install()["launches"]) == 2  # type: ignore[arg-type]
    assert site.asked.orders == 2
    assert site.asked.accounts == 1


TROUBLES = {
    "caa": (authority.caa(DOMAIN), f"CAA record for {DOMAIN} prevents issuance", "CAA record"),
    "limit": (
        authority.rate_limited("2026-12-24 12:00:00 UTC", 3600), "retry after 2026-12-24 12:00:00 UTC", "wait until then",
    ),
    "down": (authority.DOWN, "down for maintenance", "wait until the authority is well"),
}  # fmt: skip


@pytest.mark.parametrize("name", TROUBLES)
def test_what_the_authority_refuses_is_told_by_check_and_status_and_ordered_again(
    site: Site, name: str
) -> None:
    trouble, words, way_out = TROUBLES[name]
    site.asked.trouble = trouble
    site.forget()
    wait_until(lambda: words in site.check()["measured"], 90, "the authority's words in check")
    assert way_out in site.check()["fix"]
    failing = {
        one["id"]: one
        for one in site.scene.client.binderbox(site.host, "status", "--json").result["checks"]
        if one["verdict"] == "fail"
    }
    assert words in failing["BBX-I03"]["measured"]
    site.asked.trouble = None
    site.order_again()
    wait_until(lambda: site.check()["verdict"] == "pass", 90, "a certificate after all")
    assert '"event": "order"' in site.host.exec(["cat", layout.AUDIT_FILE])


def test_install_ends_with_the_authoritys_words(site: Site) -> None:
    site.asked.trouble = Trouble(
        "/sign-me-up", 400, "invalidContact", 'contact email has forbidden domain "binder.test"'
    )
    site.forget()
    error = site.scene.binderbox("install", "--yes").must(4).result["error"]
    assert "forbidden domain" in error["message"]
    assert "`email`" in error["remedy"]
    site.asked.trouble = None
    site.order_again()
    assert len(site.install()["launches"]) == 2  # type: ignore[arg-type]
