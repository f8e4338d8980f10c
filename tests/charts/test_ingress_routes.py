"""The routes of the ingress: a real traefik with the configuration that its chart renders."""

import datetime
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from binderbox import layout
from binderbox.decide.drain import Drain
from binderbox.parts.ingress.drained import KEY_HEADER, REFUSED, render_routes
from tests.charts import rendering
from tests.charts.ingresses import BINDER, HUB, Backend, Ingress, running
from tests.waiting import wait_until

MB = 1_000_000


@pytest.fixture(scope="module")
def ingress(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingress]:
    where = tmp_path_factory.mktemp("ingress")
    tls = ssl.create_default_context(cafile=write_certificate(where))
    with running(rendering.ours()["ingress"], where, tls) as there:
        yield there


def write_certificate(where: Path) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, BINDER)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(BINDER), x509.DNSName(HUB)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (where / "tls.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (where / "tls.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return str(where / "tls.crt")


@pytest.mark.parametrize(("host", "name"), [(BINDER, "binder"), (HUB, "hub")])
def test_each_name_has_its_service(ingress: Ingress, host: str, name: str) -> None:
    assert json.loads(ingress.ask("GET", host, "/").read())["name"] == name


def test_the_client_cannot_choose_the_address_it_is_seen_with(ingress: Ingress) -> None:
    """BinderHub limits builds by it."""
    assert json.loads(ingress.ask("GET", BINDER, "/").read())["for"] == "127.0.0.1"


def test_a_name_that_is_not_ours_is_nowhere(ingress: Ingress) -> None:
    raw = ingress.tls.wrap_socket(
        socket.create_connection(("127.0.0.1", ingress.https_port), 10), server_hostname=BINDER
    )
    connection = http.client.HTTPConnection("elsewhere.example.org")
    connection.sock = raw
    connection.request("GET", "/", headers={"Host": "elsewhere.example.org"})
    assert connection.getresponse().status == 404


def test_http_is_sent_to_https_on_the_public_port(ingress: Ingress) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", ingress.http_port, timeout=10)
    connection.request("GET", "/v2/gh/a/b/HEAD", headers={"Host": BINDER})
    answer = connection.getresponse()
    assert answer.status in (301, 302, 307, 308)
    assert answer.headers["Location"] == f"https://{BINDER}/v2/gh/a/b/HEAD"


def test_port_80_says_whose_it_is(ingress: Ingress) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", ingress.http_port, timeout=10)
    connection.request("GET", layout.IDENTITY_PATH, headers={"Host": "whatever.example.org"})
    answer = connection.getresponse()
    assert (answer.status, answer.read().decode()) == (200, "the host's own")


def test_build_events_arrive_while_the_build_runs(ingress: Ingress) -> None:
    Backend.go_on.clear()
    answer = ingress.ask("GET", BINDER, "/build/gh/a/b/HEAD")
    assert answer.readline() == b"data: first\n"  # the server has not said its last word yet
    Backend.go_on.set()
    assert b"data: last" in answer.read()


@pytest.mark.parametrize(("host", "size"), [(BINDER, 900_000), (HUB, 60 * MB)])
def test_bodies_up_to_the_limit_pass(ingress: Ingress, host: str, size: int) -> None:
    assert ingress.ask("PUT", host, "/user/x/api/contents/a.ipynb", b"0" * size).status == 200


@pytest.mark.parametrize(("host", "size"), [(BINDER, 1_100_000), (HUB, 65 * MB)])
def test_bodies_over_the_limit_are_refused_before_they_are_sent(
    ingress: Ingress, host: str, size: int
) -> None:
    assert ingress.ask("PUT", host, "/user/x/api/contents/a.ipynb", announced=size).status == 413


def test_the_log_knows_no_token(ingress: Ingress) -> None:
    ingress.ask("GET", HUB, "/user/x/lab?token=hush-hush").read()
    text = wait_until(
        lambda: told if "/user/x/lab" in (told := ingress.log.read_text()) else "",
        10,
        "the request is logged",
    )
    assert "hush-hush" not in text
    assert "203.0.113.9" not in text


@pytest.fixture
def drained(ingress: Ingress) -> Iterator[Callable[[Drain | None], None]]:
    """Put the file that the node writes, as the node writes it: by rename. In rotation again afterwards."""
    file = ingress.routes / "drain.yml"

    def put(drain: Drain | None) -> None:
        if drain is None:
            file.unlink(missing_ok=True)
        else:
            new = ingress.routes / ".bbx-new"
            new.write_text(render_routes(drain, BINDER))
            new.rename(file)
        wanted = 200 if drain is None else 503
        deadline = time.monotonic() + 6
        while ingress.ask("GET", BINDER, "/health").status != wanted:
            assert time.monotonic() < deadline, ingress.log.read_text()
            time.sleep(0.05)

    yield put
    put(None)


AWKWARD = """{{ "a" }} {{{ it's <b>"so"</b>, \\ `x` $(reboot) \U0001f6e0 \u00fc"""


def test_a_drained_member_says_so_on_health_alone_and_to_any_page(
    ingress: Ingress, drained: Callable[[Drain | None], None]
) -> None:
    drained(Drain(AWKWARD, "me", "2026-01-01T00:00:00+00:00"))
    answer = ingress.ask("GET", BINDER, "/health?x=1")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Content-Type"] == "application/json"
    assert json.loads(answer.read()) == {
        "ok": False, "drained": {"reason": AWKWARD, "since": "2026-01-01T00:00:00+00:00"},
    }  # fmt: skip
    assert ingress.ask("HEAD", BINDER, "/health").status == 503
    for host, path in ((BINDER, "/versions"), (BINDER, "/healthy"), (HUB, "/health")):
        assert ingress.ask("GET", host, path).status == 200
    assert "collecting file configs" not in ingress.log.read_text()


def test_what_runs_goes_on_while_the_member_is_drained_and_resumed(
    ingress: Ingress, drained: Callable[[Drain | None], None]
) -> None:
    Backend.go_on.clear()
    build = ingress.ask("GET", BINDER, "/build/gh/a/b/HEAD")
    assert build.readline() == b"data: first\n"
    drained(Drain("new disk"))
    another = ingress.ask("GET", BINDER, "/build/gh/a/c/HEAD")
    assert another.readline() == b"data: first\n"
    drained(None)
    Backend.go_on.set()
    assert b"data: last" in build.read()
    assert b"data: last" in another.read()


def test_a_closed_member_refuses_launches_as_an_event_that_pages_understand(
    ingress: Ingress, drained: Callable[[Drain | None], None]
) -> None:
    drained(Drain("new disk", closed=True, key="k3y"))
    Backend.go_on.set()
    answer = ingress.ask("GET", BINDER, "/build/gh/a/b/HEAD?build_token=t")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    line, empty = answer.readline(), answer.readline()
    assert json.loads(line.removeprefix(b"data: ")) == {"phase": "failed", "message": REFUSED}
    assert empty == b"\n"
    ours = ingress.ask("GET", BINDER, "/build/gh/a/b/HEAD", **{KEY_HEADER: "k3y"})
    assert ours.readline() == b"data: first\n"
    theirs = ingress.ask("GET", BINDER, "/build/gh/a/b/HEAD", **{KEY_HEADER: "k3y2"})
    assert b"failed" in theirs.readline()
    assert "k3y" not in ingress.log.read_text()
