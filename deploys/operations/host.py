"""What the host itself must be like: directories with owners, kernel settings, modules, the record of the config."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime

from pyinfra import host
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation

from binderbox import layout
from binderbox.deploys.facts.host import AtBoot, Loadable, NftTables, Owners, Profiles, Sysctls
from binderbox.deploys.facts.states import FileText
from binderbox.parts.builder import confinement

Commands = Generator[StringCommand | FileUploadCommand, None, None]


@operation()
def directories(*, wanted: Sequence[tuple[str, str, int]]) -> Commands:
    """Make directories with mode and owner.

    + wanted: (path, mode in octal, owner id), parents before what is in them
    """
    there = host.get_fact(Owners, paths=[path for path, _, _ in wanted])
    for path, mode, owner in wanted:
        if there.get(path) != (mode, owner):
            # not by `install -o`: that of Rust's coreutils knows no owner without a name
            yield StringCommand("install", "-d", "-m", mode, QuoteString(path))
            yield StringCommand("chown", f"{owner}:{owner}", QuoteString(path))


@operation()
def modules(*, names: Sequence[str]) -> Commands:
    """Load kernel modules that are neither loaded nor built in."""
    if missing := host.get_fact(Loadable, names=names):
        yield StringCommand("modprobe", "-a", *(QuoteString(name) for name in missing))


@operation()
def sysctls(*, values: Mapping[str, int]) -> Commands:
    """Give kernel settings their values now; a file of sysctl.d does the same at boot."""
    found = host.get_fact(Sysctls, keys=list(values))
    for key, value in values.items():
        if found.get(key) != str(value):
            yield StringCommand("sysctl", "-q", "-w", QuoteString(f"{key}={value}"))


@operation()
def switched_off(*, lines: Sequence[str]) -> Commands:
    """Switch other firewalls off.

    + lines: what is typed against those that are on now
    """
    for line in lines:
        yield StringCommand(*line.split())


@operation()
def table_loaded(*, table: str, unit: str) -> Commands:
    """Load the firewall where its unit says it is and its table is gone: another program's flush takes every table away."""
    if table not in host.get_fact(NftTables):
        yield StringCommand("systemctl", "reload-or-restart", QuoteString(unit))


@operation()
def profile_loaded(*, profile: str, path: str) -> Commands:
    """Have AppArmor enforce a profile from its file: aa-teardown and aa-remove-unknown take away what lies elsewhere than theirs."""
    if host.get_fact(Profiles).get(profile) != confinement.LOADED:
        yield StringCommand(*confinement.LOAD, QuoteString(path))


@operation()
def taken_back(*, unit: str, also: str, later: str, timer: str, after_s: int) -> Commands:
    """Until somebody has come in past the firewall once: see that it is taken away again unless somebody does meanwhile.

    + later: what an install starts only after somebody has come in
    """
    # A unit starts at boot from the first new login on. Whether its table is there says nothing: a flush takes that away,
    # and an install that ended before the login leaves it.
    if host.get_fact(AtBoot, units=(unit, later)):
        host.noop("somebody has come in past it before")
        return
    words = ("systemd-run", "-q", "--collect", f"--on-active={after_s}", f"--unit={timer}")
    yield StringCommand("systemctl", "stop", f"{timer}.timer", "2>/dev/null", "||", "true")
    yield StringCommand(*words, "systemctl", "stop", QuoteString(also), QuoteString(unit))


@operation()
def applied(*, text: str, who: str, others_gb: Mapping[str, float]) -> Commands:
    """Record the config that is being applied, with its hash, by whom and when; nothing when it is the same.

    + others_gb: what else takes of each disk, so that the next plan starts from the same figures
    """
    digest = hashlib.sha256(text.encode()).hexdigest()
    try:
        found = json.loads(host.get_fact(FileText, path=layout.APPLIED_FILE) or "{}")
    except ValueError:  # cut off by a power cut; written anew below
        found = {}
    recorded = {key: value for key, value in found.items() if key not in ("sha256", "who", "when")}
    if (found.get("sha256"), recorded) == (digest, dict(others_gb)):
        host.noop("the same config was applied before")
        return
    when = datetime.now(UTC).isoformat(timespec="seconds")
    record = {"sha256": digest, "who": who, "when": when, **others_gb}
    yield FileUploadCommand(io.BytesIO(text.encode()), layout.MEMBER_FILE)
    yield FileUploadCommand(io.BytesIO(json.dumps(record, indent=1).encode()), layout.APPLIED_FILE)
