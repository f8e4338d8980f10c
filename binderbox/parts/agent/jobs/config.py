"""The agent's config, /etc/binderbox/agent.json: which prime to follow, from where, and how the node is reached."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from binderbox.federation.following.follow import Range, Rules
from binderbox.federation.following.guarding import GuardRules
from binderbox.parts.disk import watermarks
from binderbox.parts.disk.watermarks import FileSystem


class ConfigFault(Exception):
    """The config is not what binderbox writes."""


@dataclass(frozen=True)
class AgentConfig:
    """One node's follower.

    + federation: the address whose /versions is the prime's; the redirector passes it on to the prime
    + deploy_repo, branch: where the pins are
    + chart_index, chart_places: the index that is asked; below which addresses it and its charts may lie
    + image_sources: repositories from which images may be pulled, without a tag
    + chart_range, build_image_range: [at least, below], empty for no end
    + guard_index, guard_places, guard_sources, guard_range: the same of cryptnono's chart and its images
    + window: "HH:MM-HH:MM" in UTC, or empty
    + binder_url, address, ca_file: this member's public address, where to look for it, and who vouches for it
    + hub_database: the hub's SQLite file on the node
    + received_file: where the ingress keeps the certificates that an authority gives it, empty for own ones
    + staging: whether that is an authority whose issuers nobody knows
    + sample_base: what the repository that proves a change is built from
    + pod_gateway: the node's address on the pods' bridge, from which the sample is served
    + forbidden, allowed: what strangers' code must not reach, and what it must, by name, as probe.py reads it
    + detectors, attaches: the containers of cryptnono's pod; whether that build of it attaches to a kernel at all
    + keep_days, registry_max_gb: how long an image stays that nobody launches, and the ceiling of all of them
    + store: somebody else's S3 with the registry's images (endpoint, bucket, region, path_style); empty: the node's own
    + domain, data_dir: this member's name, and where its data lies
    + file_systems, ceilings_gb: what is looked at so that no disk fills, and the ceiling of each part that has one
    + resolvers, own_resolvers: whom pods and the host itself asked for names at the last install
    """

    federation: str
    deploy_repo: str
    branch: str
    chart_index: str
    chart_places: tuple[str, ...]
    image_sources: tuple[str, ...]
    chart_range: tuple[str, str]
    build_image_range: tuple[str, str]
    guard_index: str
    guard_places: tuple[str, ...]
    guard_sources: tuple[str, ...]
    guard_range: tuple[str, str]
    window: str
    binder_url: str
    address: str
    ca_file: str
    received_file: str
    staging: bool
    hub_database: str
    sample_base: str
    pod_gateway: str
    resolvers: tuple[str, ...]
    own_resolvers: tuple[str, ...]
    forbidden: Mapping[str, str]
    allowed: Mapping[str, str]
    detectors: tuple[str, ...]
    attaches: bool
    keep_days: float
    registry_max_gb: float
    store: Mapping[str, Any]
    domain: str
    data_dir: str
    file_systems: tuple[FileSystem, ...]
    ceilings_gb: Mapping[str, float]
    enabled: bool = True

    @property
    def rules(self) -> Rules:
        return Rules(
            self.chart_places,
            self.image_sources,
            Range(*self.chart_range),
            Range(*self.build_image_range),
            self.window,
        )

    @property
    def guard_rules(self) -> GuardRules:
        return GuardRules(self.guard_places, self.guard_sources, Range(*self.guard_range))


def parse_config(text: str) -> AgentConfig:
    """Read it; raises ConfigFault with what is wrong."""
    try:
        found: dict[str, Any] = json.loads(text)
        lists = (
            "chart_places",
            "image_sources",
            "chart_range",
            "build_image_range",
            "guard_places",
            "guard_sources",
            "guard_range",
            "resolvers",
            "own_resolvers",
            "detectors",
        )
        known = {one.name for one in fields(AgentConfig)}
        if unknown := sorted(set(found) - known):
            raise ConfigFault(f"unknown keys: {', '.join(unknown)}")
        disks = watermarks.parse(found["file_systems"])
        return AgentConfig(
            **{**found, **{key: tuple(found[key]) for key in lists}, "file_systems": disks},
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigFault(f"agent.json: {error}") from error
