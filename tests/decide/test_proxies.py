"""Who is told of the site's proxy, and what never goes by it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from binderbox import layout
from binderbox.decide import proxies
from binderbox.errors import ConfigError
from binderbox.member.model import Member, Proxy, parse
from binderbox.parts.binderhub import values as binderhub
from binderbox.parts.fetch.__main__ import with_proxy
from binderbox.parts.ingress.values import make_inputs
from tests.charts import rendering

URL, LOGIN = "http://proxy.example.edu:3128", "http://us%20er:p%40ss@proxy.example.edu:3128"
MEMBER = Member(
    domain="binder.example.edu",
    proxy=Proxy(http=URL, https=URL, no_proxy=(".example.edu", "192.0.2.0/24"), builds=True),
)


def test_without_one_nobody_is_told_anything() -> None:
    plain = Member(domain="binder.example.edu")
    assert proxies.environment(plain, ["proxy-url"]) == {}
    assert (proxies.noted(plain), proxies.exports(plain), proxies.for_steps(plain)) == ("", "", ())


def test_programs_find_it_in_small_letters_and_in_large_ones() -> None:
    found = proxies.environment(MEMBER)
    assert {name for name in found if name.islower()} == {"http_proxy", "https_proxy", "no_proxy"}
    assert all(found[name.upper()] == value for name, value in found.items())
    assert found["https_proxy"] == URL


@pytest.mark.parametrize(
    "inside",
    ["hub", "proxy-public", ".svc", "10.42.0.0/16", "10.43.0.0/16", "10.44.0.0/16", "binder.example.edu",
     ".binder.example.edu", "localhost", ".example.edu", "192.0.2.0/24", layout.REGISTRY.partition(":")[0]],
)  # fmt: skip
def test_the_members_own_parts_are_left_out(inside: str) -> None:
    assert inside in proxies.left_out(MEMBER).split(",")


def test_the_nodes_own_addresses_are_left_out_of_what_its_programs_read() -> None:
    """The API server asks the kubelet at one of them, and would ask the proxy for it."""
    assert "203.0.113.7" in proxies.environment(MEMBER, (), ("203.0.113.7",))["NO_PROXY"].split(",")


def test_the_login_is_nowhere_but_in_the_file_of_root_and_in_secrets_of_releases() -> None:
    secret = proxies.environment(MEMBER, ["proxy-url"])
    assert set(proxies.of_secret(secret)) == {"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"}
    assert f"https_proxy={LOGIN}\n" in proxies.render(secret, LOGIN)
    assert (
        proxies.noted(MEMBER, ["proxy-url"])
        == f"# the site's proxy: the secret\nEnvironmentFile=-{layout.PROXY_FILE}\n"
    )
    ingress = make_inputs(MEMBER, rendering.artifacts(), secrets=["proxy-url"])
    hub = binderhub.make_inputs(
        MEMBER,
        rendering.sizing(MEMBER),
        rendering.artifacts(),
        disk=rendering.disk(MEMBER),
        secrets=["proxy-url"],
    )
    assert ingress.secret_values["environment.HTTPS_PROXY"] == "proxy-url"
    assert hub.secret_values["extraEnv.https_proxy"] == "proxy-url"
    assert hub.secret_values["config.KubernetesBuildExecutor.extra_envs.https_proxy"] == "proxy-url"
    for inputs in (ingress, hub):
        assert proxies.SECRET not in str(inputs.values)
        assert "3128" not in str(inputs.values.get("environment", {})) + str(
            inputs.values.get("extraEnv", {})
        )


def test_without_a_login_pods_have_it_in_their_values() -> None:
    ingress = make_inputs(MEMBER, rendering.artifacts())
    hub = binderhub.make_inputs(
        MEMBER, rendering.sizing(MEMBER), rendering.artifacts(), disk=rendering.disk(MEMBER)
    )
    assert ingress.values["environment"]["HTTPS_PROXY"] == URL
    assert ingress.values["tls"]["serverPort"] == 3128  # which the network policy must let through
    assert hub.values["extraEnv"]["https_proxy"] == URL
    assert hub.values["config"]["KubernetesBuildExecutor"]["extra_envs"]["https_proxy"] == URL


def test_an_own_ingress_asks_nobody() -> None:
    own = MEMBER.model_copy(update={"tls": "own-ca"})
    assert make_inputs(own, rendering.artifacts()).values["environment"] == {}


def test_build_steps_are_told_only_if_said_and_never_the_login() -> None:
    told = dict(one.split("=", 1) for one in proxies.for_steps(MEMBER))
    assert told["https_proxy"] == URL
    assert set(told) == {"http_proxy", "https_proxy", "no_proxy"}
    quiet = MEMBER.model_copy(update={"proxy": Proxy(https=URL)})
    assert proxies.for_steps(quiet) == ()


def test_a_host_asks_by_it_before_anything_of_ours_is_there_and_by_the_secret_once_that_is(
    tmp_path: Path,
) -> None:
    secret = tmp_path / "proxy-url"
    script = (
        proxies.exports(MEMBER).replace(f"{layout.SECRETS}/proxy-url", str(secret)) + 'echo "$https_proxy"'
    )

    def said() -> str:
        return subprocess.run(
            ["sh", "-eu", "-c", script], capture_output=True, text=True, check=True
        ).stdout.strip()

    assert said() == URL
    secret.write_text(LOGIN)
    assert said() == LOGIN


def test_the_program_that_fetches_reads_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.setenv(name, "before")
    file = tmp_path / "proxy.env"
    file.write_text(proxies.render(proxies.environment(MEMBER)))
    with_proxy(str(file))
    script = "import os; print(os.environ['https_proxy'])"
    assert subprocess.run(["python3", "-c", script], capture_output=True, text=True).stdout.strip() == URL
    with_proxy(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("proxy", "told"),
    [
        ("{https: 'http://user:secret@proxy.example.edu:3128'}", "binderbox secrets set HOST proxy-url"),
        ("{https: proxy.example.edu}", "such as http://proxy.example.edu:3128"),
        ("{https: 'socks5://proxy.example.edu'}", "such as http://proxy.example.edu:3128"),
        ("{no_proxy: ['a b']}", "a name, the end of names"),
    ],
)
def test_what_is_no_proxy_is_refused_and_a_login_is_never_shown(proxy: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(f"domain: binder.example.edu\nproxy: {proxy}\n", "m.yaml")
    assert told in str(error.value)
    assert "secret@" not in str(error.value)
