"""What a config may say, and how every fault in it is told at once."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from importlib import resources
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from binderbox.errors import ConfigError
from binderbox.member.model import DiskOverrides, EgressAllow, Member, parse, render
from binderbox.parts.secrets.ca import make_ca
from tests.places import ROOT
from tests.tools.member_manual import render_manual

EXAMPLE = resources.files("binderbox.member").joinpath("example.yaml").read_text()
MANUAL = ROOT / "docs" / "member.md"


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "m.yaml")
    assert caught.value.exit_code == 2
    head, *rows = caught.value.message.splitlines()
    assert head == f"m.yaml: {len(rows)} fault{'s' if len(rows) > 1 else ''}"
    return [row.removeprefix("m.yaml:") for row in rows]


def uncommented(text: str) -> str:
    return re.sub(r"^#([a-z_]+:)", r"\1", text, flags=re.MULTILINE)


def test_a_domain_is_enough() -> None:
    member = parse("domain: binder.example.org\n", "m.yaml")
    assert member == Member(domain="binder.example.org")
    assert (member.tls, member.https_port, member.quota, member.offline) == ("acme", 443, None, False)


def test_the_manual_has_every_key_at_its_default() -> None:
    text = uncommented(EXAMPLE)
    assert set(yaml.safe_load(text)) == set(Member.model_fields)
    assert parse(text, "example") == parse(EXAMPLE, "example") == Member(domain="binder.example.org")


def test_the_manual_explains_every_disk_ceiling_somewhere() -> None:
    assert set(DiskOverrides.model_fields) == {"images_gb", "buildkit_gb", "objectstore_gb", "logs_gb"}
    text = EXAMPLE.replace("#disk: {}", "").rstrip() + "\n"
    for key in DiskOverrides.model_fields:
        assert f"#   {key}: null" in text


def test_the_page_is_made_from_the_manual() -> None:
    page = render_manual()
    if os.environ.get("WRITE_GOLDENS"):
        MANUAL.write_text(page)
    assert page == MANUAL.read_text()


@pytest.mark.parametrize(
    ("port", "binder", "hub"),
    [
        (443, "https://b.example.org", "https://hub.b.example.org"),
        (8443, "https://b.example.org:8443", "https://hub.b.example.org:8443"),
    ],
)
def test_public_addresses(port: int, binder: str, hub: str) -> None:
    member = parse(f"domain: B.Example.org\ntls: own-ca\nhttps_port: {port}\n", "m.yaml")
    assert (member.binder_url, member.hub_url) == (binder, hub)


def test_everything_can_be_said() -> None:
    authority = make_ca("a site").certificate_pem
    text = yaml.safe_dump(
        {
            "domain": "b.example.org",
            "tls": "own-ca",
            "https_port": 8443,
            "http_port": 8080,
            "email": "ops@example.org",
            "abuse_contact": "https://example.org/abuse",
            "ingress_ip": "203.0.113.4",
            "egress_allow": [
                {"network": "10.1.0.0/16", "ports": [443]},
                {"network": "fd00::/32", "ports": [80]},
            ],
            "extra_ca": [authority],
            "offline": True,
            "data_dir": "/srv/binderbox",
            "pods": 100,
            "quota": 50,
            "build_slots": 2,
            "build_memory_gb": 8,
            "build_step_memory_gb": 2.5,
            "user_memory_gb": 1,
            "disk": {"images_gb": 10, "logs_gb": 0.5},
        }
    )
    member = parse(text, "m.yaml")
    assert member.egress_allow[1] == EgressAllow(network="fd00::/32", ports=(80,))
    assert member.extra_ca == (authority,)
    assert (member.disk.images_gb, member.disk.buildkit_gb) == (10, None)
    assert member.build_memory_gb == 8


def test_a_certificate_is_written_as_it_looks() -> None:
    authority = make_ca("a site").certificate_pem
    text = render({"domain": "a.example.org", "extra_ca": (authority,)})
    assert "- |\n" in text
    assert parse(text, "m.yaml").extra_ca == (authority,)


def test_every_fault_is_told_at_once_in_the_order_of_the_file() -> None:
    text = """\
domian: x
domain: 10.0.0.1
pods: true
quota: lots
domain: a.b
egress_allow:
  - network: 10.0.0.1/24
    ports: [0, 443, "x"]
  - netwrk: 1.1.1.0/24
  - 7
build_slots: 010
disk:
  images: 3
  logs_gb: -1
data_dir: /etc/x
user_memory_gb: .nan
email: [a]
tls: no
"""
    found = faults(text)
    assert [row.split(": ")[:2] for row in found] == [
        ["1", "domian"],
        ["2", "domain"],
        ["3", "pods"],
        ["4", "quota"],
        ["5", "domain"],
        ["7", "egress_allow[0].network"],
        ["8", "egress_allow[0].ports[0]"],
        ["8", "egress_allow[0].ports[2]"],
        ["9", "egress_allow[1].network"],
        ["9", "egress_allow[1].netwrk"],
        ["9", "egress_allow[1].ports"],
        ["10", "egress_allow[2]"],
        ["11", "build_slots"],
        ["13", "disk.images"],
        ["14", "disk.logs_gb"],
        ["15", "data_dir"],
        ["16", "user_memory_gb"],
        ["17", "email"],
        ["18", "tls"],
    ]
    assert found[0].endswith("unknown key; did you mean domain?")
    assert found[3] == '4: quota: expected a whole number of user pods, 0 to 990, found "lots"'
    assert found[4] == "5: domain: stands twice, first on line 2"
    assert "did you mean 10.0.0.0/24?" in found[5]
    assert found[9].endswith("did you mean network?")
    assert found[13].endswith("did you mean images_gb?")
    assert found[18] == "18: tls: expected acme or own-ca, found no"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "found nothing"),
        ("# nothing\n", 1, "found nothing"),
        ("- a\n", 1, "expected `key: value` lines"),
        ("hello", 1, "expected `key: value` lines"),
        ("domain: a.b\n\tpods: 3\n", 2, "a tab: YAML indents with spaces only"),
        ("domain: a.b\nfoo: [\n", 3, "not YAML"),
        ("domain: a.b\n---\ndomain: a.c\n", 2, "not YAML"),
        ("domain: a\x00b", 1, "not YAML"),
        ("domain: a.b\n? [x]\n: 1\n", 2, "a key must be a plain word"),
    ],
)
def test_text_that_is_no_config(text: str, line: int, words: str) -> None:
    assert any(row.startswith(f"{line}: ") and words in row for row in faults(text)), faults(text)


def test_an_alias_that_holds_itself_is_a_fault_and_not_a_hang() -> None:
    assert (
        "2: disk.images_gb: an alias that holds itself"
        in faults("domain: a.b\ndisk: &x {images_gb: *x}\n")[0]
    )


@pytest.mark.parametrize(
    "domain",
    [
        "10.1.2.3",
        "::1",
        "localhost",
        "https://a.example.org",
        "a.example.org/x",
        "*.example.org",
        "a_b.example.org",
        "-a.example.org",
        "a-.example.org",
        "a..org",
        "a.example.org.",
        "bücher.example",
        "a b.org",
        "a.123",
        f"{'x' * 64}.org",
        ".".join(["x" * 50] * 5),
        "a.org;reboot",
    ],
)
def test_what_is_no_domain(domain: str) -> None:
    (row,) = faults(yaml.safe_dump({"domain": domain}))
    assert row.startswith("1: domain: expected a host name (")


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("https_port: 8443", "tls: acme proves the domain on ports 80 and 443"),
        ("tls: own-ca\nhttps_port: 80", "http_port is 80 too"),
        ("tls: own-ca\nhttps_port: 6443", "ssh, Kubernetes or its node ports use that one"),
        ("tls: own-ca\nhttp_port: 30080", "ssh, Kubernetes or its node ports use that one"),
        ("pods: 20\nquota: 50", "is larger than pods"),
        ("build_memory_gb: 2\nbuild_step_memory_gb: 4", "is larger than build_memory_gb"),
        ("egress_allow: [{network: 0.0.0.0/0, ports: [25]}]", "at most a /8"),
        ("egress_allow: [{network: '::/0', ports: [25]}]", "at most a /16"),
        ("egress_allow: [{network: 10.0.0.0/8, ports: []}]", "expected a list of TCP ports"),
        (
            "egress_allow: {network: 10.0.0.0/8, ports: [1]}",
            "expected a list of {network, ports}, found a mapping",
        ),
        ("ingress_allow: [{ports: [9100], protocol: icmp}]", "expected tcp or udp"),
        ("ingress_allow: [{ports: [0]}]", "a port, 1 to 65535"),
        ("ingress_allow: [{network: 192.0.2.7/24, ports: [1]}]", "did you mean 192.0.2.0/24?"),
        ("ingress_allow: [9100]", "a mapping of network, protocol and ports"),
        ("networks: {pods: 8.0.0.0/16}", "within 10.0.0.0/8, 172.16.0.0/12"),
        ("networks: {services: 10.43.0.0/24}", "from a /12 to a /20"),
        ("networks: {pods: 10.43.0.0/16}", "pods 10.43.0.0/16 and services 10.43.0.0/16 overlap"),
        ("networks: {pod: 10.9.0.0/16}", "did you mean pods?"),
        ("data_dir: var/lib/x", "no slash at the end"),
        ("data_dir: /srv/../etc", "no `..`"),
        ("data_dir: /var/lib/rancher/k3s", "outside k3s's own directory"),
        ("data_dir: /", "no slash at the end"),
        ("email: nobody", "a mail address"),
        ("abuse_contact: http://example.org", "a mail address or an https:// page"),
        ("offline: 1", "expected true or false, found 1"),
        ("quota: 3.5", "a whole number of user pods, 0 to 990, found 3.5"),
        ("quota: '3'", 'found "3"'),
        ("pods: 5000", "10 to 990, found 5000"),
        ("user_memory_gb: true", "a size in GB, found true"),
        ("2026-01-01: x", "unknown key"),
    ],
)
def test_values_that_cannot_be(extra: str, words: str) -> None:
    (row,) = faults(f"domain: a.example.org\n{extra}\n")
    assert words in row


@pytest.mark.parametrize(
    "inside", ["hello", "-----BEGIN PRIVATE KEY-----\nMIIsecret\n-----END PRIVATE KEY-----\n"]
)
def test_what_is_no_certificate_is_refused_and_never_shown(inside: str) -> None:
    (row,) = faults(yaml.safe_dump({"domain": "a.example.org", "extra_ca": [inside]}))
    assert "extra_ca[0]: expected a certificate" in row
    assert "secret" not in row


def test_a_member_cannot_be_changed() -> None:
    with pytest.raises(Exception, match="frozen"):
        parse("domain: a.example.org", "m").quota = 3  # type: ignore[misc]


def test_what_init_writes_is_what_was_asked_for() -> None:
    flags: dict[str, Any] = {
        "domain": "b.example.org",
        "tls": "own-ca",
        "https_port": 8443,
        "email": None,
        "egress_allow": [{"network": "10.1.0.0/16", "ports": [443]}],
    }
    text = render(flags)
    assert parse(text, "m") == Member(
        domain="b.example.org",
        tls="own-ca",
        https_port=8443,
        egress_allow=(EgressAllow(network="10.1.0.0/16", ports=(443,)),),
    )
    assert "*.this name" in text
    assert "email" not in text


def test_bad_flags_of_init_are_faults_like_those_of_a_file() -> None:
    with pytest.raises(ConfigError, match="domian"):
        render({"domain": "b.example.org", "domian": "x"})
    with pytest.raises(ConfigError, match="expected a host name"):
        render({"domain": "b.example.org\nquota: 3"})


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    with suppress(ConfigError):
        assert parse(text, "m.yaml").domain


@given(
    st.dictionaries(
        st.sampled_from(sorted(Member.model_fields)),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
            ),
            max_leaves=5,
        ),
        max_size=6,
    )
)
def test_no_value_breaks_the_reader(data: dict[str, Any]) -> None:
    with suppress(ConfigError):
        assert parse(yaml.safe_dump(data, allow_unicode=True), "m.yaml").domain


@pytest.mark.parametrize(
    ("mirrors", "told"),
    [
        ("[{registry: docker.io, endpoints: []}]", "mirrors"),
        ("[{registry: docker, endpoints: [https://a.example.edu]}]", "mirrors[0].registry"),
        ("[{registry: docker.io, endpoints: [a.example.edu]}]", "beginning with https:// or http://"),
        ("[{registry: docker.io, endpoints: [https://a.example.edu/path]}]", "without a path"),
        ("[{registry: docker.io, endpoints: ['https://u:p@a.example.edu']}]", "without a password"),
        (
            "[{registry: docker.io, endpoints: [https://a.example.edu]}, {registry: docker.io, endpoints: [https://b.example.edu]}]",
            "docker.io stands there twice",
        ),
    ],
)
def test_a_mirror_that_nobody_could_use_is_refused(mirrors: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        parse(f"domain: binder.example.org\nmirrors: {mirrors}\n", "m.yaml")
