"""The program as a user runs it, on a federation with TLS, by names and a public authority of its own."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from binderbox.parts.secrets.ca import make_ca, make_leaf
from tests.cli.run import Done, binderbox
from tests.federation.looking import CHECK, deploy_repository
from tests.federation.member import Member
from tests.federation.prime import make_health
from tests.federation.small_redirector import Redirector
from tests.output.schemas import validate_output


@dataclass
class Secured:
    """A prime, a redirector and a member to be, all at localhost; `env` is what trusts their authority."""

    redirector: Redirector
    prime: Member
    new: Member
    env: dict[str, str]

    def run(self, cwd: Path, *args: str) -> Done:
        return binderbox(
            cwd, "federation", *args, env={**self.env, "BINDERBOX_FEDERATION": self.redirector.url}
        )


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    authority = make_ca("everybody's")
    leaf = make_leaf(authority, ["localhost"])
    paths = {"ca.pem": authority.certificate_pem, "leaf.pem": leaf.certificate_pem, "key.pem": leaf.key_pem}
    for name, pem in paths.items():
        (tmp_path / name).write_text(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "leaf.pem", tmp_path / "key.pem")
    health = make_health(0, 20)
    with (
        Member(tls=context, health=make_health(5, 300)) as prime,
        Member(tls=context, health=health) as new,
    ):
        for one in (prime, new):
            one.url = one.url.replace("127.0.0.1", "localhost")
        section = {"check": CHECK, "load_balancer": "random", "hosts": {"a": prime.entry(50)}}
        with Redirector(section, ca_pem=authority.certificate_pem, tls=context) as redirector:
            redirector.url = redirector.url.replace("127.0.0.1", "localhost")
            yield Secured(redirector, prime, new, {"SSL_CERT_FILE": str(tmp_path / "ca.pem")})


def test_a_member_is_ready_before_it_joins(secured: Secured, tmp_path: Path) -> None:
    done = secured.run(tmp_path, "check", secured.new.url, "--json")
    told = validate_output(done.stdout, "federation-check")
    assert {one["id"]: one["measured"] for one in told["checks"] if one["verdict"] == "fail"} == {}
    assert (done.returncode, told["exit"], told["ready"], told["receives"]) == (0, 0, True, True)
    assert told["members"] == [{"name": "localhost", "active": True, "reason": "", "detail": ""}]
    text = secured.run(tmp_path, "check", secured.new.url)
    assert text.stdout.endswith("localhost: ready: it would get launches, and one worked\n")


def test_the_token_of_the_page_is_nowhere_to_be_read(secured: Secured, tmp_path: Path) -> None:
    done = secured.run(tmp_path, "check", secured.new.url, "--json", "-vv")
    logs = "".join(path.read_text() for path in (tmp_path / "state").rglob("*.log"))
    assert "eyJ" not in done.stdout + done.stderr + logs


def test_the_same_authority_unknown_is_a_certificate_that_fails(secured: Secured, tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    deploy = deploy_repository(tmp_path / "deploy", {"a": secured.prime.entry(50)}, {})
    secured.env.clear()
    done = secured.run(tmp_path, "check", "a", "--deploy-repo", str(deploy), "--json")
    told = validate_output(done.stdout, "federation-check")
    assert done.returncode == 5
    (one,) = [one for one in told["checks"] if one["id"] == "BBX-F03"]
    assert (one["verdict"], "its certificate is not accepted" in one["measured"]) == ("fail", True)


def test_status_as_json_and_as_text(secured: Secured, tmp_path: Path) -> None:
    done = secured.run(tmp_path, "status", "--json")
    told = validate_output(done.stdout, "federation-status")
    (one,) = told["members"]
    assert (done.returncode, one["name"], one["share"], one["quota"], one["free"]) == (0, "a", 1.0, 300, 285)
    assert one["certificate_days"] == pytest.approx(397, abs=1.1)
    secured.prime.health = make_health(290, 300)
    text = secured.run(tmp_path, "status")
    assert text.returncode == 5
    # the redirector has seen it already, or not yet
    assert "a is out: Pod quota" in text.stdout or "a is not well (Pod quota: " in text.stdout


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("check", "nobody"), 2, "nobody is no member of this federation, and ssh does not reach a host of that name"),
        (("check", "-x"), 2, "No such option"),
        (("check", "http://"), 2, "is no address of a member"),
        (("status", "--federation", "mybinder.org"), 2, "needed is an address like https://mybinder.org"),
        (("status", "--federation", "http://127.0.0.1:1"), 5, "the redirector gives no list of members"),
        (("status", "--deploy-repo", "nowhere"), 2, "nowhere"),
        (("ramp", "a", "5,15", "--deploy-repo", "nowhere"), 2, "nowhere"),
        (("ramp", "a", "5,5", "--deploy-repo", "nowhere"), 2, "each step must be higher than the one before"),
    ],
)  # fmt: skip
def test_bad_input_is_a_message_and_an_exit_code(
    secured: Secured, tmp_path: Path, args: tuple[str, ...], code: int, says: str
) -> None:
    done = secured.run(tmp_path, *args, "--json")
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    validate_output(done.stdout, f"federation-{args[0]}")
    assert "Traceback" not in done.stderr
