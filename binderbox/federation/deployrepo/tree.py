"""The files of a mybinder.org-deploy checkout that the commands read, and the redirector's configuration in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from binderbox.errors import DeployRepoError, RuleBroken
from binderbox.federation.deployrepo.yamltext import Document, load, read, scalar_pairs
from binderbox.federation.redirector.config import RedirectorConfig, is_number, make_config
from binderbox.federation.redirector.rules import start_faults

CONFIG = "config/prod.yaml"
VALUES = "mybinder/values.yaml"
CHART = "mybinder/Chart.yaml"
DOCS = "docs/source/operation_guide/federation.md"
REQUIRED = (CONFIG, VALUES, CHART)
WANTED = (*REQUIRED, DOCS)
RELEASE = re.compile(r"config/([^/]+)\.yaml")  # each release that the repository deploys has such a file
SECTION = "federationRedirect"


@dataclass(frozen=True)
class DeployTree:
    """Contents by path of what was read; `names` are the paths of all files that the repository has."""

    files: Mapping[str, bytes]
    names: frozenset[str] = field(default=frozenset())

    @property
    def releases(self) -> frozenset[str]:
        """Names of what the repository deploys."""
        return frozenset(found[1] for path in self.names if (found := RELEASE.fullmatch(path)))

    def document(self, path: str) -> Document:
        return read(path, self.files[path])

    def with_files(self, files: Mapping[str, bytes]) -> DeployTree:
        return DeployTree({**self.files, **files}, self.names)


def make_tree(files: Mapping[str, bytes], names: frozenset[str] = frozenset()) -> DeployTree:
    """Raises DeployRepoError that names every expected file which is missing."""
    if missing := [path for path in REQUIRED if path not in files]:
        raise DeployRepoError(
            f"this is no checkout of mybinder.org-deploy: {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing; nothing was written",
            remedy="give the checkout's directory or its address with --deploy-repo",
        )
    return DeployTree({path: files[path] for path in WANTED if path in files}, names or frozenset(files))


def redirector_config(
    tree: DeployTree, *, mending: str = "", several_primes: bool = False
) -> RedirectorConfig:
    """What the redirector is started with: the chart's values, overlaid by config/prod.yaml as helm does it.

    + mending: a member whose weight is about to be replaced; one that is no number counts as 0
    + several_primes: accept them, because they are about to be mended
    Raises DeployRepoError with file and line of every fault, a member that stands twice and two primes among them.
    """
    document = tree.document(CONFIG)
    chart, own = (_section(tree.document(path)) for path in (VALUES, CONFIG))
    hosts = document.find(SECTION, "hosts")
    if hosts is not None and isinstance(hosts[1], yaml.MappingNode):
        for key, _ in scalar_pairs(hosts[1]):
            document.entry(hosts[1], key.value)
    section = overlay(chart, own)
    entry = (section.get("hosts") or {}).get(mending) if isinstance(section.get("hosts"), Mapping) else None
    if isinstance(entry, Mapping) and not is_number(entry.get("weight", 0)):
        section = overlay(section, {"hosts": {mending: {"weight": 0}}})
    try:
        config = make_config(section)
    except ValueError as error:
        faults = [
            f"{CONFIG}:{_line(document, fault)}: {SECTION}.{fault}" for fault in str(error).splitlines()
        ]
        raise DeployRepoError(
            "\n".join([*faults, "nothing was written"]), remedy=f"correct {CONFIG} and run it again"
        ) from error
    primes = [host.name for host in config.hosts if host.prime]
    if len(primes) > 1 and not several_primes:
        lines = (f"{name} (line {_line(document, f'hosts.{name}.prime:')})" for name in primes)
        raise DeployRepoError(
            f"{CONFIG} has {len(primes)} primes: {', '.join(lines)}; nothing was written",
            cause="the redirector would take pages from the first and versions from each of them in turn",
            remedy=f"leave `prime: true` at one of them: binderbox federation prime {primes[0]} --deploy-repo PATH",
        )
    return config


def held_to_rules(tree: DeployTree) -> RedirectorConfig:
    """The configuration of a tree that is about to be written; raises RuleBroken when the redirector would not start
    with it."""
    config = redirector_config(tree)
    if faults := start_faults(config):
        raise RuleBroken(
            "with this change mybinder.org's redirector would not start; nothing was written",
            cause="\n".join(faults),
            remedy=f"correct {SECTION}.hosts in {CONFIG}, or make another member the prime first",
        )
    return config


def hosts_in(content: bytes) -> dict[str, dict[str, Any]] | None:
    """The members' entries in some version of config/prod.yaml, whatever stands in them; None where there are none yet, or
    nothing can be read."""
    try:
        hosts = load(CONFIG, content.decode())[SECTION]["hosts"]
        return {str(name): entry for name, entry in hosts.items() if isinstance(entry, dict)}
    except (DeployRepoError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        return None


def weight_in(content: bytes, name: str) -> float | None:
    """The weight of a member in some version of config/prod.yaml; None where it is no member, or nothing can be read."""
    try:
        return float((hosts_in(content) or {})[name]["weight"])
    except (KeyError, TypeError, ValueError):
        return None


def overlay(chart: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Values over a chart's defaults as helm merges them: mappings key by key, and a null takes a default away.

    A null where the chart has no default stays null, which is what stops the redirector (recorded, null-host).
    """
    merged = dict(chart)
    for key, value in given.items():
        if value is None and key in chart:
            merged.pop(key)
        elif isinstance(value, Mapping) and isinstance(chart.get(key), Mapping):
            merged[key] = overlay(chart[key], value)
        else:
            merged[key] = value
    return merged


def _section(document: Document) -> dict[str, Any]:
    data = document.data()
    section = data.get(SECTION) if isinstance(data, dict) else None
    if not isinstance(section, dict):
        found = document.find(SECTION)
        line = document.line(found[0]) if found else 1
        raise DeployRepoError(
            f"{document.path}:{line}: no {SECTION} with settings in it; nothing was written",
            cause="the layout of this repository is not the one that is known",
        )
    return section


def _line(document: Document, fault: str) -> int:
    """The line that a fault such as `hosts.NAME.weight: expected ...` is about; names may hold dots."""
    node, keys = document.find(SECTION), fault.partition(": ")[0].rstrip(":")
    while node is not None and isinstance(node[1], yaml.MappingNode):
        named = [
            pair
            for pair in scalar_pairs(node[1])
            if keys == pair[0].value or keys.startswith(f"{pair[0].value}.")
        ]
        if not named:
            break
        node = max(named, key=lambda pair: len(pair[0].value))
        keys = keys[len(node[0].value) + 1 :]
    return document.line(node[0]) if node else 1
