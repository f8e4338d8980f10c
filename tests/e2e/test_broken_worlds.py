"""Sites at which no install can work: `check` tells which in seconds, and nothing is changed on the host."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from binderbox.parts.secrets.ca import make_ca, make_leaf
from tests.e2e.test_acme import NAME
from tests.e2e.test_acme import Site as Certified
from tests.e2e.test_bad_input import untouched
from tests.e2e.test_follow import gateway
from tests.e2e.test_from_the_internet import on_a_bare_host, use_resolver
from tests.rig.authority import DOWN, Authority
from tests.rig.egress import site_settings
from tests.rig.internet import registries
from tests.rig.internet.faults import Fault
from tests.rig.internet.mirror import MIRROR

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(900)]
DOMAIN = "binder.university.edu"  # a public name, which this resolver alone knows here
PAGE = b"<html>Please log in to the network</html>"
HTML = {"Content-Type": "text/html"}
NOBODY = "192.0.2.1"  # RFC 5737


class Site(Certified):
    """One that is not installed, and whose world can be mended."""

    @property
    def here(self) -> str:
        return self.asked.address

    def configure(self, **keys: object) -> None:
        own = {
            "domain": DOMAIN,
            "tls": "acme",
            "acme_server": self.asked.url,
            "email": "it@university.edu",
            "offline": False,
            "egress_allow": [{"network": f"{self.here}/32", "ports": [443, self.asked.port, 3128]}],
            "extra_ca": [self.scene.internet.ca_pem, self.asked.ca_pem, *(site_settings()["extra_ca"] or [])],
        }
        self.scene.configure(**{**own, **keys})

    def well(self) -> None:
        """As the world is before something in it breaks."""
        names = self.scene.internet.names
        names.records.clear()
        names.addresses |= {DOMAIN: self.host.address, f"*.{DOMAIN}": self.host.address}
        self.asked.trouble = None
        self.scene.internet.faults.clear()
        use_resolver(self.host, self.here)
        self.configure()


@pytest.fixture(scope="module")
def site(rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with on_a_bare_host("broken-worlds", tmp_path_factory, pinned=True) as scene:
        here = gateway(scene.host)
        with Authority(80, names_at=scene.host.address, name=NAME, address=here) as asked:
            scene.internet.names.addresses[NAME] = here
            yield Site(scene, asked)


@contextmanager
def answering(site: Site, answer: bytes) -> Iterator[str]:
    """The address of a proxy that answers each question so, and hangs up."""
    listener = socket.create_server((site.here, 3128))

    def serve() -> None:
        while True:
            try:
                asked, _ = listener.accept()
            except OSError:
                return
            with closing(asked):
                asked.recv(4096)
                asked.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    with closing(listener):
        yield f"http://{site.here}:3128"
        listener.shutdown(socket.SHUT_RDWR)


def http(status: str, *headers: str, body: bytes = PAGE) -> bytes:
    head = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(head).encode() + body


@contextmanager
def proxy(site: Site, answer: bytes) -> Iterator[None]:
    with answering(site, answer) as url:
        site.configure(proxy={"https": url})
        yield


@contextmanager
def filtered(site: Site, rule: str) -> Iterator[None]:
    """With a rule at the site's wall, which this machine is."""
    site.host.exec(["nft", "-f", "-"], stdin=f"table inet wall {{\n{rule}\n}}\n".encode())
    try:
        yield
    finally:
        site.host.exec(["nft", "delete", "table", "inet", "wall"])


@contextmanager
def no_way_out(site: Site) -> Iterator[None]:
    rule = "chain out {\ntype filter hook output priority 0\ntcp dport 443 ct state new drop\n}"
    with filtered(site, rule):
        yield


@contextmanager
def port_80_is_shut(site: Site) -> Iterator[None]:
    rule = 'chain in {\ntype filter hook input priority 0\niifname != "lo" tcp dport 80 drop\n}'
    with filtered(site, rule):
        yield


@contextmanager
def no_names(site: Site) -> Iterator[None]:
    use_resolver(site.host, NOBODY)
    yield


@contextmanager
def a_box_ends_tls(site: Site) -> Iterator[None]:
    box = make_ca("the box of the site")
    leaf = make_leaf(box, [registries.QUAY])
    site.scene.internet.names.addresses[registries.QUAY] = "127.0.0.1"
    script = """
        cat > /tmp/box.pem
        openssl s_server -quiet -accept 443 -cert /tmp/box.pem -key /tmp/box.pem -www >/dev/null 2>&1 & echo $! >/tmp/box.pid
    """
    site.host.exec(["sh", "-c", script], stdin=(leaf.certificate_pem + leaf.key_pem).encode())
    try:
        yield
    finally:
        site.host.exec(["sh", "-c", "kill $(cat /tmp/box.pid); rm /tmp/box.pid /tmp/box.pem"])
        site.scene.internet.names.addresses[registries.QUAY] = site.here


@contextmanager
def a_mirror_is_a_page(site: Site) -> Iterator[None]:
    fault = Fault(status=200, headers=HTML, body=PAGE)
    site.scene.internet.faults.add(MIRROR, "", fault, times=None)
    site.configure(mirrors=[{"registry": "docker.io", "endpoints": [f"https://{MIRROR}"]}])
    yield


@contextmanager
def a_wrong_address(site: Site) -> Iterator[None]:
    site.scene.internet.names.addresses[DOMAIN] = site.here
    yield


@contextmanager
def an_ipv6_address(site: Site) -> Iterator[None]:
    site.scene.internet.names.records[DOMAIN, "AAAA"] = ("2001:db8::1",)
    yield


@contextmanager
def caa_forbids(site: Site) -> Iterator[None]:
    site.scene.internet.names.records["university.edu", "CAA"] = ('0 issue "other.test"',)
    yield


@contextmanager
def an_example_email(site: Site) -> Iterator[None]:
    site.configure(email="me@example.org")
    yield


@contextmanager
def the_authority_is_down(site: Site) -> Iterator[None]:
    site.asked.trouble = DOWN
    yield


LOGIN = http("407 Proxy Authentication Required", 'Proxy-Authenticate: Basic realm="site"')
WORLDS = {
    "no way out": (no_way_out, "BBX-H31", "get.helm.sh: ", "open outgoing TCP 443"),
    "a proxy wants a login": (
        lambda site: proxy(site, LOGIN), "BBX-H31", "the proxy wants a login", "binderbox secrets set",
    ),
    "a proxy refuses": (
        lambda site: proxy(site, http("403 Forbidden")), "BBX-H31", "the proxy refuses it with 403", "ask the keeper of",
    ),
    "a proxy answers with a page": (
        lambda site: proxy(site, http("200 OK", "Content-Type: text/html")), "BBX-H31", "a page of its own", "`proxy.https`",
    ),
    "names have no answer": (no_names, "BBX-H31", "the host's resolver does not", "a resolver that knows public names"),
    "a box ends TLS": (a_box_ends_tls, "BBX-H31", "quay.io: its certificate is by", "extra_ca"),
    "a mirror is a page": (a_mirror_is_a_page, "BBX-H31", f"{MIRROR}: no registry answers there", "`mirrors`"),
    "port 80 is shut": (port_80_is_shut, "BBX-D07", "", "open TCP port 80"),
    "a wrong address": (a_wrong_address, "BBX-D01", "10.", "set `ingress_ip"),
    "an IPv6 address": (an_ipv6_address, "BBX-D04", "2001:db8::1", "take the AAAA record"),
    "CAA forbids": (caa_forbids, "BBX-D05", "university.edu CAA 0 issue", f'0 issue "{NAME}"'),
    "an example's e-mail": (an_example_email, "BBX-D06", "me@example.org", "set `email`"),
    "the authority is down": (the_authority_is_down, "BBX-H31", "an answer with HTTP 503", "acme_server"),
}  # fmt: skip


def test_in_a_world_that_is_well_nothing_of_it_is_told(site: Site) -> None:
    site.well()
    about = [one for one in checks(site) if one["id"][:5] == "BBX-D" or one["id"] == "BBX-H31"]
    assert {one["verdict"] for one in about} == {"pass"}, about


@pytest.mark.parametrize("name", WORLDS)
def test_what_is_broken_is_named_and_nothing_is_changed(site: Site, name: str) -> None:
    breaks, id, measured, fix = WORLDS[name]
    site.well()
    with ExitStack() as stack:
        stack.enter_context(breaks(site))
        found = {one["id"]: one for one in checks(site, name)}
    assert found[id]["verdict"] == "fail", found[id]
    assert measured in found[id]["measured"]
    assert fix in found[id]["fix"]
    assert untouched(site.host)


def checks(site: Site, name: str = "well") -> list[dict[str, str]]:
    done = site.scene.binderbox("check")
    print(f"{name}: {done.seconds:.1f} s, exit {done.code}")
    found: list[dict[str, str]] = done.result["checks"]
    return found
