"""The redirector's configuration as frozen data: who is in the federation, with which weight, and how members are checked.

Source of every default and rule: mybinder.org-deploy 95860dbc, images/federation-redirect/app.py and mybinder/values.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from binderbox.decide import urls

Balancer = Literal["random", "rendezvous"]


@dataclass(frozen=True)
class CheckTiming:
    """How members are checked: every `period_s` (spread by `jitter`), up to `retries` tries 1 s apart.

    Defaults are the chart's. A member that failed is looked at again after `failed_period_s`.
    """

    period_s: float = 15
    jitter: float = 0.1
    retries: int = 5
    timeout_s: float = 5
    failed_period_s: float = 90


@dataclass(frozen=True)
class HostEntry:
    """One member in the redirector's configuration; `url` without a slash at its end. Weight 0 takes it out."""

    name: str
    url: str
    weight: float
    health: str
    versions: str
    prime: bool = False


@dataclass(frozen=True)
class RedirectorConfig:
    """All of it. `hosts` are in the order of the file, those with weight 0 included; `null_hosts` are entries of null."""

    hosts: tuple[HostEntry, ...]
    check: CheckTiming = CheckTiming()
    load_balancer: Balancer = "random"
    pod_headroom: int = 10
    host_cookie_age_hours: float = 4
    null_hosts: tuple[str, ...] = ()

    def host(self, name: str) -> HostEntry | None:
        return next((one for one in self.hosts if one.name == name), None)

    @property
    def weighed(self) -> RedirectorConfig:
        """The same as if nobody had a weight below 1: one of weight 0 is dropped before anything else is looked at."""
        return replace(self, hosts=tuple(replace(one, weight=max(one.weight, 1)) for one in self.hosts))

    def with_weight(self, name: str, weight: float) -> RedirectorConfig:
        """The same with another weight for one member."""
        return replace(
            self,
            hosts=tuple(replace(one, weight=weight) if one.name == name else one for one in self.hosts),
        )


def make_config(section: Mapping[str, Any]) -> RedirectorConfig:
    """Build it from the merged `federationRedirect` mapping, or from the program's own JSON file.

    Raises ValueError with all faults, one a line, each with its key path.
    """
    config, faults = read_config(section)
    if faults:
        raise ValueError("\n".join(faults))
    return config


def read_config(section: Mapping[str, Any]) -> tuple[RedirectorConfig, tuple[str, ...]]:
    """As much of it as can be read, and what cannot, each with its key path; an odd entry is no member of it."""
    faults: list[str] = []
    hosts, nulls = _hosts(section.get("hosts") or {}, faults)
    check = section.get("check") or {}
    timing = CheckTiming(
        period_s=_number(check, "period", CheckTiming.period_s, "check", faults),
        jitter=_number(check, "jitter", CheckTiming.jitter, "check", faults),
        retries=int(_number(check, "retries", CheckTiming.retries, "check", faults)),
        timeout_s=_number(check, "timeout", CheckTiming.timeout_s, "check", faults),
        failed_period_s=_number(check, "failed_period", CheckTiming.failed_period_s, "check", faults),
    )
    config = RedirectorConfig(
        hosts=hosts,
        check=timing,
        # whatever it does not know works as `random`: recorded, load-balancer-unknown
        load_balancer="rendezvous" if section.get("load_balancer") == "rendezvous" else "random",
        pod_headroom=int(_number(section, "pod_headroom", 10, "", faults)),
        host_cookie_age_hours=_number(section, "host_cookie_age_hours", 4, "", faults),
        null_hosts=nulls,
    )
    return config, tuple(faults)


def is_number(value: Any) -> bool:
    """Whether it is one of at least 0 that the redirector can reckon with; true and false are not."""
    return not isinstance(value, bool) and isinstance(value, (int, float)) and 0 <= value < 1e9


def _hosts(found: Any, faults: list[str]) -> tuple[tuple[HostEntry, ...], tuple[str, ...]]:
    if not isinstance(found, Mapping):
        faults.append(f"hosts: expected a mapping of members, found {found!r}")
        return (), ()
    entries, nulls = [], []
    for name, entry in found.items():
        where = f"hosts.{name}"
        if entry is None:
            nulls.append(str(name))
        elif not isinstance(entry, Mapping):
            faults.append(f"{where}: expected a mapping, found {entry!r}")
        else:
            texts = {key: entry.get(key) for key in ("url", "health", "versions")}
            wrong = [
                f"{where}.{key}: expected an address, found {value!r}"
                for key, value in texts.items()
                if not _is_address(value)
            ]
            weight = entry.get("weight", 0)  # one without a weight is dropped like weight 0
            if not is_number(weight):
                harm = "" if isinstance(weight, (int, float)) else "; with it every launch ends in a 500"
                wrong.append(f"{where}.weight: expected a number of at least 0, found {weight!r}{harm}")
            prime = entry.get("prime", False)
            if not isinstance(prime, bool):
                wrong.append(f"{where}.prime: expected true or false, found {prime!r}")
            faults += wrong
            if not wrong:
                entries.append(
                    HostEntry(
                        str(name),
                        str(texts["url"]).rstrip("/"),
                        weight,
                        str(texts["health"]),
                        str(texts["versions"]),
                        prime is True,
                    )
                )
    return tuple(entries), tuple(nulls)


def _is_address(value: Any) -> bool:
    try:
        return (
            isinstance(value, str) and value.startswith(("https://", "http://")) and bool(urls.place(value))
        )
    except ValueError:
        return False


def _number(table: Mapping[str, Any], key: str, default: float, where: str, faults: list[str]) -> float:
    value: float = table.get(key, default)
    if not is_number(value):
        faults.append(
            f"{f'{where}.' if where else ''}{key}: expected a number of at least 0, found {value!r}"
        )
        return default
    return value
