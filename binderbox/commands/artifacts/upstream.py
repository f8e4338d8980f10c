"""Whether publishers still state what a node has recorded; where one does not, the node's record says so."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from binderbox import layout
from binderbox.artifacts import records
from binderbox.artifacts.records import Record
from binderbox.artifacts.versions import Pin
from binderbox.commands.artifacts.asking import ask
from binderbox.commands.artifacts.registries import manifest_url
from binderbox.commands.artifacts.trusting import wanted_pins
from binderbox.commands.connect import changing
from binderbox.commands.probe import HostProbe
from binderbox.decide import proxies
from binderbox.output.progress import Progress
from binderbox.output.requests import Sources
from binderbox.world.host.asking import NodeAsks
from binderbox.world.host.hosts import Host
from binderbox.world.host.lock import audit
from binderbox.world.http.publishers import Publishers

COMMAND = "check --upstream"
Pairs = dict[str, tuple[str, str]]
"""Name to (recorded, stated now)."""


def asked_again(host: Host, probe: HostProbe, sources: Sources, progress: Progress) -> Pairs:
    """Ask for everything that is recorded; a difference is written down, so that no install takes either by itself."""
    known = records.parse(probe.facts.records)
    pins = wanted_pins(probe, sources)
    wanted = [pin for record in known.values() if (pin := _pin(record, pins)) is not None]
    with closing(Publishers(probe.member.extra_ca)) as publishers:
        stated = ask(
            pins,
            wanted,
            {},
            (("client", publishers), ("node", NodeAsks(host, proxies.exports(probe.member)))),
        )
    pairs = {name: (known[name].sha256, one.sha256) for name, one in stated.items()}
    now = {name: replace(known[name], disputed=_dispute(known[name], pairs[name][1])) for name in pairs}
    if any(known[name] != one for name, one in now.items()):
        with changing(host, COMMAND, progress, audited=False):
            host.write(layout.RECORDS_FILE, records.render({**known, **now}.values()).encode(), 0o600)
            for name, one in now.items():
                if one.disputed and known[name] != one:
                    audit(host, "disputed", COMMAND, artifact=name, recorded=one.sha256, stated=one.disputed)
    return pairs


def _dispute(record: Record, stated: str) -> str:
    """What an operator has chosen stays chosen."""
    return "" if stated == record.sha256 or record.asked_from == "operator" else stated


def _pin(record: Record, pins: dict[str, Pin]) -> Pin | None:
    """What to ask for it: as pinned now, or as an image that a chart runs; None for what no install would use."""
    if record.images_of:
        url = manifest_url(record.source)
        return Pin(record.name, "image", record.version, record.source, checksum_url=url)
    pin = pins.get(record.name)
    return pin if pin is not None and not pin.sha256 and record.is_of(pin) else None
