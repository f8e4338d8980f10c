"""Who asks the outside through the site's proxy, and who never does. Pure.

Programs read it from their environment, in small letters (curl, git, Python) or large ones (Go). Names and networks of the
member itself are left out, or its parts would look for each other outside.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping
from ipaddress import ip_network

from binderbox import layout
from binderbox.decide import urls
from binderbox.member.model import Member

LOGIN_SECRET = "proxy-url"  # the proxy's address with its login, in the place of what the config has
SECRET = "\0secret"
INSIDE = ("localhost", "127.0.0.1", "::1", ".svc", ".cluster.local", "hub", "proxy-public", "binder")


def left_out(member: Member, addresses: Iterable[str] = ()) -> str:
    """NO_PROXY: curl, git and Go read it alike, as names, their ends with a dot before, and networks.

    `addresses` are the node's own: the API server asks the kubelet there.
    """
    networks = [member.networks.pods, member.networks.services, member.networks.builds]
    gateway = [str(ip_network(one)[1]) for one in networks]  # for readers that know no networks
    own = [member.domain, f".{member.domain}", layout.REGISTRY.partition(":")[0], member.networks.registry_ip]
    return ",".join([*INSIDE, *networks, *gateway, *own, *addresses, *member.proxy.no_proxy])


def environment(
    member: Member, secrets: Collection[str] = (), addresses: Iterable[str] = ()
) -> dict[str, str]:
    """Variable to value, empty where there is no proxy; SECRET where the node holds one, of whose names `secrets` are."""
    http, https = member.proxy.http or "", member.proxy.https or ""
    if not (http or https):
        return {}
    if LOGIN_SECRET in secrets:
        http, https = SECRET, SECRET
    found = {"http_proxy": http, "https_proxy": https, "no_proxy": left_out(member, addresses)}
    found = {name: value for name, value in found.items() if value}
    return found | {name.upper(): value for name, value in found.items()}


def of_secret(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Which of them are the secret's."""
    return tuple(name for name, value in variables.items() if value == SECRET)


def render(variables: Mapping[str, str], secret: str = "") -> str:
    """A file for systemd's EnvironmentFile; no value has a space or a quote in it."""
    filled = {name: secret if value == SECRET else value for name, value in variables.items()}
    return "".join(f"{name}={value}\n" for name, value in sorted(filled.items()))


def port(member: Member) -> int | None:
    """Of the proxy for https; None where there is none."""
    return None if member.proxy.https is None else urls.port(member.proxy.https)


def exports(member: Member) -> str:
    """sh text that lets curl ask by the proxy, on a host on which nothing of ours may be yet but its secrets."""
    plain = {name: value for name, value in environment(member).items() if name.islower()}
    if not plain:
        return ""
    file = shlex.quote(f"{layout.SECRETS}/{LOGIN_SECRET}")
    lines = [f"export {name}={shlex.quote(value)}" for name, value in plain.items()]
    return "\n".join(
        [*lines, f"[ ! -s {file} ] || export http_proxy=$(cat {file}) https_proxy=$(cat {file})", ""]
    )


def noted(member: Member, secrets: Collection[str] = ()) -> str:
    """What a unit's text says of it, so that a change of the config restarts who reads it at its start; "" for no proxy."""
    if not environment(member, secrets):
        return ""
    asked = [member.proxy.http, member.proxy.https, *member.proxy.no_proxy]
    told = "the secret" if LOGIN_SECRET in secrets else " ".join(one for one in asked if one)
    return f"# the site's proxy: {told}\nEnvironmentFile=-{layout.PROXY_FILE}\n"


def for_steps(member: Member) -> tuple[str, ...]:
    """What build steps are told: without a login, which any of them could read; BuildKit knows these arguments itself."""
    if not member.proxy.builds:
        return ()
    return tuple(f"{name}={value}" for name, value in sorted(environment(member).items()) if name.islower())
