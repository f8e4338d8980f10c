"""A small federation for tests of looking at it: a redirector on the real rules, its prime, and members that launch."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.federation.member import Member
from tests.federation.small_redirector import Redirector

CHECK = {"period": 0.4, "jitter": 0.1, "retries": 2, "timeout": 2, "failed_period": 0.5}


class Quiet:
    """A Progress that nobody watches."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **options: None


@dataclass
class Small:
    """`members` by name, the first is the prime; `repository` makes a deployment checkout that has them."""

    redirector: Redirector
    members: Mapping[str, Member]
    weights: Mapping[str, float]

    @property
    def url(self) -> str:
        return self.redirector.url

    def hosts(self, **weights: float) -> dict[str, Any]:
        return {
            name: one.entry({**self.weights, **weights}[name], prime=number == 0)
            for number, (name, one) in enumerate(self.members.items())
        }

    def repository(self, directory: Path, **weights: float) -> Path:
        return deploy_repository(directory, self.hosts(**weights), {"pod_headroom": 10, "check": CHECK})


def deploy_repository(directory: Path, hosts: Any, chart: Mapping[str, Any]) -> Path:
    """A git checkout with the files of mybinder.org-deploy that say who the members are."""
    files = {
        "config/prod.yaml": {"federationRedirect": {"enabled": True, "hosts": hosts}},
        "mybinder/values.yaml": {"federationRedirect": {**chart, "hosts": {}}},
        "mybinder/Chart.yaml": {"name": "mybinder"},
    }
    for path, content in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(yaml.safe_dump(content, sort_keys=False))
    for args in (
        ["init", "-q"],
        ["config", "user.name", "A test"],
        ["config", "user.email", "test@example.org"],
        ["add", "-A"],
        ["commit", "-q", "-m", "members"],
    ):
        subprocess.run(["git", *args], cwd=directory, check=True)
    return directory


@contextmanager
def small_federation(**weights: float) -> Iterator[Small]:
    with ExitStack() as stack:
        members = {name: stack.enter_context(Member()) for name in weights}
        hosts = {
            name: one.entry(weights[name], prime=number == 0)
            for number, (name, one) in enumerate(members.items())
        }
        redirector = stack.enter_context(
            Redirector({"check": CHECK, "load_balancer": "random", "hosts": hosts})
        )
        yield Small(redirector, members, weights)
