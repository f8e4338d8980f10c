"""Member: one member's config, frozen; read and checked from text. `example.yaml` beside it is the manual.

`parse` raises ConfigError with *every* fault of the text, each with its line, key path, what was expected and found.
A value that is None here is computed from the machine by `sizing` or `disk`. GB are 10^9 bytes.
Decides on text alone: whether a value fits the machine is a check of the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from itertools import combinations
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.functional_validators import AfterValidator

from binderbox.errors import ConfigError
from binderbox.member import rules
from binderbox.member.faults import Fault, explain, render_faults
from binderbox.member.yaml import read

Port = Annotated[int, Field(ge=1, le=65535)]
PublicPort = Annotated[int, Field(ge=1, le=65535), AfterValidator(rules.public_port)]
PUBLIC_PORTS = (80, 443)
GB = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class EgressAllow(_Model):
    """A network that user pods and builds may reach although it is not public, on these TCP ports."""

    network: Annotated[str, AfterValidator(rules.network)] = Field(
        description="a network in CIDR form, such as 10.1.2.0/24"
    )
    ports: Annotated[tuple[Port, ...], Field(min_length=1)] = Field(
        description="a list of TCP ports, such as [443]"
    )


class Mirror(_Model):
    """Where images of a registry are asked for first; the registry itself comes last."""

    registry: Annotated[str, AfterValidator(rules.registry)] = Field(
        description="a registry's name, such as docker.io"
    )
    endpoints: Annotated[tuple[Annotated[str, AfterValidator(rules.endpoint)], ...], Field(min_length=1)] = (
        Field(description="a list of addresses, such as [https://mirror.example.edu]")
    )


class Proxy(_Model):
    """The site's proxy, by which the host reaches the outside. A login is no part of it, but a secret."""

    http: Annotated[str, AfterValidator(rules.proxy)] | None = Field(
        default=None, description="an address, for http://"
    )
    https: Annotated[str, AfterValidator(rules.proxy)] | None = Field(
        default=None, description="an address, for https://"
    )
    no_proxy: tuple[Annotated[str, AfterValidator(rules.not_proxied)], ...] = Field(
        default=(), description="a list of names, ends of names and networks"
    )
    builds: bool = Field(default=False, description="true or false")


class IngressAllow(_Model):
    """Ports of the host that stay open to other machines, beside ssh's and the ingress's; `network` None: to all of them."""

    network: Annotated[str, AfterValidator(rules.any_network)] | None = Field(
        default=None, description="a network in CIDR form, such as 10.1.2.0/24"
    )
    protocol: Literal["tcp", "udp"] = Field(default="tcp", description="tcp or udp")
    ports: Annotated[tuple[Port, ...], Field(min_length=1)] = Field(
        description="a list of ports, such as [9100]"
    )


class Networks(_Model):
    """The networks that pods, services and builds have inside the node; fixed at its first start."""

    pods: Annotated[str, AfterValidator(rules.inner_network)] = Field(
        default="10.42.0.0/16", description="a private network in CIDR form, /12 to /20"
    )
    services: Annotated[str, AfterValidator(rules.inner_network)] = Field(
        default="10.43.0.0/16", description="a private network in CIDR form, /12 to /20"
    )
    builds: Annotated[str, AfterValidator(rules.inner_network)] = Field(
        default="10.44.0.0/16", description="a private network in CIDR form, /12 to /20"
    )

    @property
    def pod_gateway(self) -> str:
        """The node's address on the pod bridge: the first of its first network of pods."""
        return str(ip_network(self.pods)[1])

    @property
    def kubernetes_ip(self) -> str:
        """The API server's own service: Kubernetes takes the first address."""
        return str(ip_network(self.services)[1])

    @property
    def cluster_dns(self) -> str:
        """The cluster's resolver, where k3s has it by default."""
        return str(ip_network(self.services)[10])

    @property
    def registry_ip(self) -> str:
        return str(ip_network(self.services)[50])


class DiskOverrides(_Model):
    """Ceilings that `disk` would compute; each in GB."""

    images_gb: GB | None = Field(default=None, description="a size in GB")
    buildkit_gb: GB | None = Field(default=None, description="a size in GB")
    objectstore_gb: GB | None = Field(default=None, description="a size in GB")
    logs_gb: GB | None = Field(default=None, description="a size in GB")


class ObjectStore(_Model):
    """A bucket of somebody's S3, in the place of the node's own object store. Its keys are no part of it, but secrets."""

    endpoint: Annotated[str, AfterValidator(rules.endpoint)] = Field(
        description="an address, such as https://s3.example.edu"
    )
    bucket: Annotated[str, AfterValidator(rules.bucket)] = Field(description="the name of a bucket")
    region: Annotated[str, AfterValidator(rules.region)] = Field(
        default="us-east-1", description="a region, such as us-east-1"
    )
    path_style: bool = Field(default=True, description="true or false")
    network: Annotated[str, AfterValidator(rules.network)] | None = Field(
        default=None, description="a network in CIDR form, such as 10.1.2.0/24"
    )

    @property
    def port(self) -> int:
        return urlsplit(self.endpoint).port or (443 if self.endpoint.startswith("https:") else 80)


class Follow(_Model):
    """How the node follows the prime; what is None is as versions.toml says."""

    enabled: bool = Field(default=True, description="true or false")
    federation: Annotated[str, AfterValidator(rules.source_url)] | None = Field(
        default=None, description="an address whose /versions is the prime's"
    )
    deploy_repo: Annotated[str, AfterValidator(rules.source_url)] | None = Field(
        default=None, description="the address of a git repository"
    )
    branch: Annotated[str, AfterValidator(rules.branch)] | None = Field(default=None, description="a branch")
    chart_index: Annotated[str, AfterValidator(rules.source_url)] | None = Field(
        default=None, description="the address of a chart index"
    )
    guard_index: Annotated[str, AfterValidator(rules.source_url)] | None = Field(
        default=None, description="the address of the chart index that has cryptnono"
    )
    image_sources: tuple[Annotated[str, AfterValidator(rules.image_source)], ...] = Field(
        default=(), description="a list of image repositories, beside those of versions.toml"
    )
    window: Annotated[str, AfterValidator(rules.window)] | None = Field(
        default=None, description="a time of day, HH:MM-HH:MM in UTC"
    )


class Member(_Model):
    """One member of the federation, as its operator describes it."""

    domain: Annotated[str, AfterValidator(rules.domain)] = Field(description="a host name")
    https_port: PublicPort = Field(default=443, description="a port, 1 to 65535")
    http_port: PublicPort = Field(default=80, description="a port, 1 to 65535")
    tls: Literal["acme", "own-ca"] = Field(default="acme", description="acme or own-ca")
    acme_server: Annotated[str, AfterValidator(rules.acme_server)] = Field(
        default="production", description="production, staging or an address"
    )
    email: Annotated[str, AfterValidator(rules.email)] | None = Field(
        default=None, description="a mail address"
    )
    abuse_contact: Annotated[str, AfterValidator(rules.contact)] | None = Field(
        default=None, description="a mail address or an https:// page"
    )
    ingress_ip: Annotated[str, AfterValidator(rules.address)] | None = Field(
        default=None, description="an IP address"
    )
    egress_allow: tuple[EgressAllow, ...] = Field(default=(), description="a list of {network, ports}")
    ingress_allow: tuple[IngressAllow, ...] = Field(
        default=(), description="a list of {network, protocol, ports}"
    )
    extra_ca: tuple[Annotated[str, AfterValidator(rules.certificate)], ...] = Field(
        default=(), description="a list of certificates"
    )
    proxy: Proxy = Field(default=Proxy(), description="a mapping, see below")
    mirrors: tuple[Mirror, ...] = Field(default=(), description="a list of {registry, endpoints}")
    require_pins: bool | None = Field(default=None, description="true or false")
    networks: Networks = Field(default=Networks(), description="a mapping of networks, see below")
    offline: bool = Field(default=False, description="true or false")
    data_dir: Annotated[str, AfterValidator(rules.data_dir)] = Field(
        default="/var/lib/binderbox", description="an absolute path"
    )
    pods: Annotated[int, Field(ge=10, le=990)] | None = Field(
        default=None, description="a whole number of pods, 10 to 990"
    )
    quota: Annotated[int, Field(ge=0, le=990)] | None = Field(
        default=None, description="a whole number of user pods, 0 to 990"
    )
    build_slots: Annotated[int, Field(ge=1, le=64)] | None = Field(
        default=None, description="a whole number of builds, 1 to 64"
    )
    build_memory_gb: GB | None = Field(default=None, description="a size in GB")
    build_step_memory_gb: GB | None = Field(default=None, description="a size in GB")
    user_memory_gb: GB | None = Field(default=None, description="a size in GB")
    registry_keep_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=30, description="days that an image stays which nobody launches"
    )
    object_store: ObjectStore | None = Field(default=None, description="a mapping, see below")
    disk: DiskOverrides = Field(default=DiskOverrides(), description="a mapping of sizes in GB")
    follow: Follow = Field(default=Follow(), description="a mapping, see below")

    @property
    def hub_domain(self) -> str:
        """Name under which hub and user servers answer."""
        return f"hub.{self.domain}"

    @property
    def binder_url(self) -> str:
        """Public address of BinderHub, without a slash at the end."""
        return _url(self.domain, self.https_port)

    @property
    def hub_url(self) -> str:
        """Public address of JupyterHub, without a slash at the end."""
        return _url(self.hub_domain, self.https_port)


def _url(name: str, port: int) -> str:
    return f"https://{name}" if port == 443 else f"https://{name}:{port}"


def parse(text: str, source: str) -> Member:
    """Read a member from YAML text; `source` is its file name in messages. Raises ConfigError with all faults."""
    marked = read(text)
    faults = [Fault(fault.line, fault.path, fault.message) for fault in marked.faults]
    member: Member | None = None
    if isinstance(marked.data, dict):
        try:
            member = Member.model_validate(marked.data)
        except ValidationError as error:
            faults += explain(error, marked, Member)
        faults += [
            Fault(marked.lines.get((key,), 1), (key,), why) for key, why in _contradictions(marked.data)
        ]
    elif not faults:
        what = "nothing" if marked.data is None else "something else"
        faults.append(Fault(1, (), f"expected `key: value` lines, at least `domain: ...`; found {what}"))
    if faults or member is None:
        raise ConfigError(
            render_faults(faults, source),
            remedy="Correct it and run the same command again; nothing was changed on the host. "
            "Every key is explained in docs/member.md.",
        )
    return member


def _contradictions(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Pairs of values that are each right, and wrong together; looks only at values of the right type."""

    def number(key: str, default: float) -> float:
        value = data.get(key, default)
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else default

    found = []
    https, http = number("https_port", 443), number("http_port", 80)
    if https == http:
        found.append(("https_port", f"http_port is {http} too"))
    if data.get("tls", "acme") == "acme" and (https, http) != (443, 80):
        key = "https_port" if https != 443 else "http_port"
        found.append((key, "tls: acme proves the domain on ports 80 and 443; use those, or tls: own-ca"))
    if data.get("tls", "acme") != "acme" and data.get("acme_server"):
        found.append(("acme_server", f"nobody is asked for certificates with tls: {data['tls']}"))
    found += [("mirrors", why) for why in _twice(data.get("mirrors"))]
    found += [("networks", why) for why in _overlaps(data.get("networks"))]
    found += [("object_store", why) for why in _unreachable(data.get("object_store"))]
    if number("quota", 0) > number("pods", 990):
        found.append(("quota", "is larger than pods, so the last users could not start"))
    if number("build_step_memory_gb", 0) > number("build_memory_gb", 100_000):
        found.append(
            ("build_step_memory_gb", "is larger than build_memory_gb, which holds all builds together")
        )
    return found


def _unreachable(given: object) -> list[str]:
    try:
        store = ObjectStore.model_validate(given) if isinstance(given, dict) else None
    except ValidationError:
        return []  # told already
    if store is None or store.network or store.port in PUBLIC_PORTS:
        return []
    return [
        f"the registry may ask public addresses at ports 80 and 443 alone: say the `network` of port {store.port}"
    ]


def _twice(mirrors: object) -> list[str]:
    named = (
        [one.get("registry") for one in mirrors if isinstance(one, dict)]
        if isinstance(mirrors, tuple)
        else []
    )
    return [f"{name} stands there twice" for name in dict.fromkeys(named) if name and named.count(name) > 1]


def _overlaps(given: object) -> list[str]:
    try:
        chosen = Networks.model_validate(given if isinstance(given, dict) else {})
    except ValidationError:
        return []  # told already
    pairs = combinations(chosen.model_dump().items(), 2)
    return [
        f"{one} {first} and {other} {second} overlap"
        for (one, first), (other, second) in pairs
        if ip_network(first).overlaps(ip_network(second))
    ]


class _Blocks(yaml.SafeDumper):
    """Writes text of several lines, such as a certificate, as a block and not between quotes."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Blocks.add_representer(str, _Blocks.represent_str)


def render(flags: Mapping[str, object]) -> str:
    """Render the short commented YAML that `binderbox init` writes; `flags` are Member keys, None is left out.

    The text is parsed before it is returned, so a bad flag raises the same ConfigError as a bad file.
    """
    rows = ["# A member of the mybinder.org federation. Every other key, with its default: docs/member.md"]
    comments = {
        "domain": "Needs two DNS records that point at the host: this name, and *.this name.",
        "tls": "acme: certificates by Let's Encrypt. own-ca: a certificate authority of the host's own, for trials.",
        "email": "Told by Let's Encrypt about trouble with the account.",
        "abuse_contact": "Who answers when the provider complains about this host.",
    }
    given = {key: value for key, value in flags.items() if value is not None}
    for key in [*Member.model_fields, *(key for key in given if key not in Member.model_fields)]:
        if key not in given:
            continue
        value = given[key]
        plain = list(value) if isinstance(value, tuple) else value
        if key in comments:
            rows += ["", f"# {comments[key]}"]
        rows += (
            yaml.dump({key: plain}, Dumper=_Blocks, sort_keys=False, allow_unicode=True)
            .rstrip("\n")
            .splitlines()
        )
    text = "\n".join(rows) + "\n"
    parse(text, "the flags")
    return text
