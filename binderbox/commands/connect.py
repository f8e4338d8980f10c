"""What every command does before its own work: connect, look, read the config, plan, hold the lock.

The pieces are separate because each command needs other ones; failures are raised.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from difflib import unified_diff
from pathlib import Path

from binderbox import layout, plan
from binderbox.artifacts import records, resolve, versions
from binderbox.artifacts import sources as origins
from binderbox.artifacts.records import Record, Records
from binderbox.artifacts.resolve import Artifact
from binderbox.artifacts.versions import Pin
from binderbox.commands.probe import HostProbe
from binderbox.decide.facts import HostFacts, make_facts
from binderbox.errors import BinderboxError, ConfigError, Interrupted, UsageError
from binderbox.federation.following import followed
from binderbox.member import model as member
from binderbox.output.progress import Progress
from binderbox.output.requests import Connection, Sources
from binderbox.plan import Plan
from binderbox.world.bundle import read_lock
from binderbox.world.host.gather import gather
from binderbox.world.host.hosts import Host, reached
from binderbox.world.host.lock import HostLock, audit, client_name, hold

NOTHING_GIVEN = Sources()
NOTHING_STATED: Records = {}


@contextmanager
def opened(connection: Connection, sources: Sources = NOTHING_GIVEN) -> Iterator[Host]:
    """A connection to the host; what is wrong with a local config or bundle is said before it is made."""
    if sources.config is not None:
        member.parse(_read(sources.config), str(sources.config))
    if sources.bundle is not None:
        resolve.parse_lock(read_lock(sources.bundle))
    if sources.versions is not None:
        versions.parse(_read(sources.versions))
    with reached(connection) as host:
        yield host


@contextmanager
def changing(
    host: Host, command: str, progress: Progress, *, wait_s: float = 0.0, audited: bool = True
) -> Iterator[HostLock]:
    """Hold the host's lock for a command that changes it, with a line in its audit log before and after."""
    with hold(host, command, wait_s=wait_s, note=progress.note) as lock:
        if audited:
            audit(host, "start", command)
        exit_code = 1
        try:
            yield lock
            exit_code = 0
        except BinderboxError as error:
            exit_code = error.exit_code
            raise
        except KeyboardInterrupt:
            exit_code = Interrupted.exit_code
            raise
        finally:
            if audited and host.connection.usable:
                audit(host, "end", command, exit=exit_code)


def look(host: Host, sources: Sources, stated: Records = NOTHING_STATED) -> HostProbe:
    return probe_of(host, make_facts(gather(host)), sources, stated)


def probe_of(host: Host, facts: HostFacts, sources: Sources, stated: Records = NOTHING_STATED) -> HostProbe:
    """A host of which these facts are known, with its config and artifacts; `stated` is what publishers were asked for."""
    text, source = _config(facts, sources)
    return HostProbe(host, facts, member.parse(text, source), text, _artifacts(facts, sources, stated))


def planned(
    probe: HostProbe,
    sources: Sources,
    stated: Records = NOTHING_STATED,
    *,
    switch_off: Collection[str] = (),
) -> tuple[HostProbe, Plan]:
    lock, accepted = _lock(probe.facts, sources)
    decided = plan.make(
        probe.member,
        probe.member_text,
        probe.facts,
        probe.artifacts,
        who=client_name(),
        bundle=sources.bundle,
        bundle_sha256=accepted,
        bundle_lock=lock,
        records=recorded(probe.facts, stated) if lock is None else {},
        versions_text=versions_text(probe.facts, sources),
        switch_off=switch_off,
    )
    return replace(probe, plan=decided), decided


def _config(facts: HostFacts, sources: Sources) -> tuple[str, str]:
    if sources.config is not None:
        return _read(sources.config), str(sources.config)
    if facts.applied is None:
        raise UsageError(
            f"{facts.name}: there is no config here, and the host holds none",
            remedy=f"binderbox init {facts.name} --domain NAME, then binderbox install {facts.name}",
        )
    return facts.applied.text, f"{facts.name}:{layout.MEMBER_FILE}"


def _read(config: Path) -> str:
    try:
        return config.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{config} cannot be read: {error}", remedy="name a file with --config") from error


def _lock(facts: HostFacts, sources: Sources) -> tuple[str | None, str | None]:
    """(text, accepted digest) of the bundle's lock: of the one given, else of the one the host was installed from."""
    if sources.bundle is None:
        return facts.bundle_lock, sources.bundle_sha256 or facts.bundle_sha256
    return read_lock(sources.bundle), sources.bundle_sha256 or facts.bundle_sha256


def pins_of(facts: HostFacts, sources: Sources) -> dict[str, Pin]:
    """The pins that count for this host: the site's own, else those of this binderbox."""
    return versions.parse(
        versions_text(facts, sources) or versions.text(), plan.ARCHITECTURES.get(facts.arch, "amd64")
    )


def versions_text(facts: HostFacts, sources: Sources) -> str | None:
    """A site's own file of pins: the one given, else the one that the host holds; None where there is none."""
    if sources.versions is None:
        return facts.versions
    text = _read(sources.versions)
    return None if text == versions.text() else text


def recorded(facts: HostFacts, stated: Records) -> dict[str, Record]:
    """What the host has recorded, with what was stated or decided now."""
    return {**records.parse(facts.records), **stated}


def _artifacts(facts: HostFacts, sources: Sources, stated: Records) -> dict[str, Artifact]:
    pins = pins_of(facts, sources)
    text, accepted = _lock(facts, sources)
    if text is None:
        known = {name: one for name, one in records.parse(facts.records).items() if name not in stated}
        found = origins.resolve(pins, known, stated)
    else:
        digest = hashlib.sha256(text.encode()).hexdigest()
        found = resolve.resolve(pins, resolve.parse_lock(text), digest, accepted)
    return plan.overlay(found, followed_of(facts))


def followed_of(facts: HostFacts) -> followed.Record:
    """What the node's own follower proved wins over what this machine knows."""
    try:
        return followed.parse(facts.followed)
    except ValueError as error:
        raise ConfigError(
            f"{facts.name}: {error}",
            cause=f"{layout.FOLLOWED_FILE} is written by the node's follower alone",
            remedy=f"remove it on the host; the follower writes it anew: binderbox federation follow {facts.name} --now",
        ) from error


def config_diff(facts: HostFacts, text: str) -> str:
    if facts.applied is None or facts.applied.text == text:
        return ""
    lines = unified_diff(facts.applied.text.splitlines(True), text.splitlines(True), "applied", "local")
    return "".join(lines)
