"""Which sum of an artifact from the Internet is believed, the first that applies:

1. *pinned*: it stands in versions.toml. 2. *recorded*: the node's own artifacts.lock.json has it for this version and
source. 3. *stated*: its publisher says so, asked by install before anything changes. Else it is *unknown* and refused.

Decides only; publishers are asked elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from binderbox.artifacts.records import ACCEPTED, Record, Records
from binderbox.artifacts.resolve import Artifact, exact_name, has_tables
from binderbox.artifacts.versions import Pin
from binderbox.errors import BundleError

UNKNOWN = ""


def resolve(pins: Mapping[str, Pin], recorded: Records, stated: Records) -> dict[str, Artifact]:
    """Say of every artifact what it must be and why; those that nobody vouches for yet have an empty `trust`."""
    found = {name: _artifact(pin, recorded, stated) for name, pin in pins.items() if not pin.images_of}
    for pin in pins.values():
        if pin.images_of and not has_tables(pin, pins):
            for record in images_of(found[pin.images_of], recorded, stated):
                trust = "recorded" if recorded.get(record.name) == record else "stated"
                image = _image(record.name, record.source, record.sha256, record.version, trust, by_tag=True)
                found[record.name] = replace(image, of=pin.images_of)
    return found


def images_of(chart: Artifact, *known: Records) -> list[Record]:
    """The images that a chart runs, as far as somebody has read it."""
    if not chart.sha256:
        return []
    found = {
        one.name: one
        for records in reversed(known)
        for one in records.values()
        if one.images_of == chart.sha256
    }
    return sorted(found.values(), key=lambda one: one.name)


def unknown(pins: Mapping[str, Pin], artifacts: Mapping[str, Artifact]) -> list[Pin]:
    """What a publisher must be asked for; the images of a chart that is new here are among them."""
    known = {name for name, one in artifacts.items() if one.trust}
    charts = {one.of for one in artifacts.values() if one.of}
    return [
        pin
        for name, pin in pins.items()
        if (pin.images_of not in charts if pin.images_of else name not in known)
    ]


def refuse_unknown(pins: Mapping[str, Pin], artifacts: Mapping[str, Artifact], *, pinned_only: bool) -> None:
    """Raise BundleError, with all of them, where an artifact has no sum, or none that is pinned and only those count."""
    missing = unknown(pins, artifacts)
    faults = [
        f"{pin.name} {pin.version}: nobody vouches for it; its publisher does at {pin.checksum_url}"
        for pin in missing
        if not pin.images_of
    ]
    faults += [f"{pin.name}: its images are not known" for pin in missing if pin.images_of]
    if pinned_only:
        faults = [
            f"{one.name} {one.version}: {one.trust or 'not known'}, and only what is pinned may be used"
            for one in artifacts.values()
            if one.trust != "pinned"
        ]
    if faults:
        raise BundleError(
            "\n".join(faults),
            cause="require_pins, --require-pins or extra_ca allows pinned artifacts alone"
            if pinned_only
            else "an artifact is used only with a verified checksum",
            remedy="name a file that pins them with --versions FILE"
            + (", or set `require_pins: false` in the config" if pinned_only else ""),
        )


def refuse_disputed(pins: Mapping[str, Pin], recorded: Records) -> None:
    """Raise BundleError where a publisher was found to state another sum than the recorded one, and nobody decided."""
    disputed = [
        one
        for one in recorded.values()
        if one.disputed
        and (one.images_of or (one.name in pins and one.is_of(pins[one.name]) and not pins[one.name].sha256))
    ]
    if disputed:
        first = disputed[0]
        raise BundleError(
            "\n".join(
                f"{one.name} {one.version}: recorded sha256 {one.sha256}, {one.stated_by} now says {one.disputed}"
                for one in disputed
            ),
            cause="an artifact does not change under its version unless somebody changed it",
            remedy=f"ask its publisher why; then decide: --accept {first.name}={first.sha256} keeps what is here, "
            f"--accept {first.name}={first.disputed} takes the new one",
        )


def accept(
    pins: Mapping[str, Pin], recorded: Records, accepted: Mapping[str, str], at: str
) -> dict[str, Record]:
    """The records with what an operator decided; raises BundleError for what no decision is open on."""
    records = dict(recorded)
    for name, sha256 in accepted.items():
        pin, record = pins.get(name), records.get(name)
        if pin is not None and pin.sha256:
            raise BundleError(
                f"--accept {name}: versions.toml pins it, and that always wins",
                remedy="name another file of pins with --versions FILE",
            )
        if pin is not None and not pin.images_of:
            records[name] = Record(name, pin.version, pin.source, sha256, ACCEPTED, "operator", at)
        elif record is not None:
            records[name] = replace(
                record, sha256=sha256, stated_by=ACCEPTED, asked_from="operator", asked_at=at, disputed=""
            )
        else:
            raise BundleError(
                f"--accept {name}: there is no such artifact", remedy="binderbox artifacts HOST lists them"
            )
    return records


def _artifact(pin: Pin, recorded: Records, stated: Records) -> Artifact:
    sha256, trust = pin.sha256 or "", "pinned" if pin.sha256 else UNKNOWN
    for records, how in ((recorded, "recorded"), (stated, "stated")):
        record = records.get(pin.name)
        if not trust and record is not None and record.is_of(pin):
            sha256, trust = record.sha256, how
    if pin.kind == "image":
        image = _image(pin.name, pin.source, sha256, pin.version, trust, by_tag=pin.by_tag or bool(pin.of))
        return replace(image, of=pin.of)
    return Artifact(
        pin.name,
        pin.kind,
        sha256,
        pin.source,
        pin.version,
        url=pin.source,
        features=pin.features,
        trust=trust,
    )


def _image(name: str, source: str, sha256: str, version: str, trust: str, *, by_tag: bool) -> Artifact:
    """An image is run under its tag where a name is compared, else under its digest.

    Without the tag before it: the kubelet looks `name:tag@digest` up as `name@digest`.
    """
    exact = exact_name(source, sha256)
    return Artifact(
        name,
        "image",
        sha256,
        source,
        version,
        images=(source if by_tag or not sha256 else exact,),
        trust=trust,
        pull=exact if sha256 else None,
    )
