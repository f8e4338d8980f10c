"""A rig host's member in a federation of two: a small prime beside it, and a small redirector in front of both."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from binderbox import layout
from binderbox.launch.sample import serve_words
from binderbox.member.model import Networks
from binderbox.world.http.web import Web
from tests.federation.prime import Prime
from tests.federation.serving import Asker
from tests.federation.small_redirector import Redirector
from tests.rig.client import DOMAIN
from tests.rig.host import RigHost
from tests.rig.images import SAMPLE_BASE

URL = f"https://{DOMAIN}"
OURS, THEIRS = "ours", "prime"
CHECK = {
    "period": 2,
    "jitter": 0.1,
    "retries": 5,
    "timeout": 5,
    "failed_period": 3,
}  # tries and limit are the chart's

SLOW = f"""\
FROM {SAMPLE_BASE}
COPY . .
RUN sleep SECONDS
"""


def authority(host: RigHost) -> str:
    """The member's own certificate authority, in PEM."""
    return host.exec(["cat", f"{layout.CA}/ca.crt"])


def browser(host: RigHost) -> Web:
    return Web(DOMAIN, host.address, authority(host))


@contextmanager
def federation(
    host: RigHost, *, ours_is_prime: bool = False, secret: bytes = b"0" * 32
) -> Iterator[tuple[Redirector, Prime]]:
    """Both run until the block ends; the prime says the versions that the member has."""
    ca_pem, addresses = authority(host), {DOMAIN: host.address}
    versions = Asker(ca_pem=ca_pem, addresses=addresses).get(f"{URL}/versions", 10).json()
    with Prime(versions=versions, secret=secret) as prime:
        ours = {"prime": ours_is_prime, "weight": 50, "url": URL}
        ours |= {name: f"{URL}/{name}" for name in ("health", "versions")}
        hosts = {THEIRS: prime.entry(prime=not ours_is_prime), OURS: ours}
        section: dict[str, Any] = {"check": CHECK, "load_balancer": "random", "hosts": hosts}
        with Redirector(section, ca_pem=ca_pem, addresses=addresses, seed=1) as redirector:
            yield redirector, prime


def kubectl(host: RigHost, *args: str) -> Any:
    return json.loads(host.exec([layout.K3S, "kubectl", *args, "-o", "json"]))


def pods(host: RigHost, component: str) -> list[dict[str, Any]]:
    found = kubectl(host, "get", "pods", "-n", layout.HUB_NAMESPACE, "-l", f"component={component}")["items"]
    return [one for one in found if one["status"]["phase"] in ("Pending", "Running")]


def end_sessions(host: RigHost) -> None:
    """End what other tests have left running; nobody waits for a culler."""
    of = ["-n", layout.HUB_NAMESPACE, "-l", "component=singleuser-server"]
    host.exec([layout.K3S, "kubectl", "delete", "pods", *of, "--wait=true", "--grace-period=1"])


def serve_slow_repository(host: RigHost, name: str, build_s: int) -> str:
    """The git URL, for pods of this host, of a repository whose build takes at least so long."""
    return serve_repository(host, name, SLOW.replace("SECONDS", str(build_s)))


def serve_busy_repository(host: RigHost, name: str, build_s: int) -> str:
    """One whose build has all of a processor for so long, or what it is given."""
    return serve_repository(
        host, name, SLOW.replace("sleep SECONDS", f"timeout {build_s} yes >/dev/null || true")
    )


def serve_repository(host: RigHost, name: str, dockerfile: str, **more: str) -> str:
    """The git URL, for pods of this host, of a repository with this Dockerfile; `more` are texts by file name."""
    return serve_files(host, name, {"Dockerfile": dockerfile, "name": name, **more})


def serve_files(host: RigHost, name: str, files: Mapping[str, str], prepare: str = "") -> str:
    """The same of texts by path; `prepare` is sh text that is run among them before all is committed."""
    directory = f"{layout.RUN}/samples/{name}"
    for file, text in files.items():
        host.exec(["install", "-D", "-m", "644", "/dev/stdin", f"{directory}/{file}"], stdin=text.encode())
    if prepare:
        host.exec(["sh", "-ec", f"cd {directory}\n{prepare}"])
    # for as long as an install's own: they share the server
    host.exec(serve_words(directory, Networks().pod_gateway))
    return f"git://{Networks().pod_gateway}/{name}"
