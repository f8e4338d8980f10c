"""What each artifact of a *bundle* (a directory with `bundle.lock.json` and files) must be. Decides only; files are read
and hashed elsewhere; `sources` decides about those from the Internet. Rules:

- A checksum in versions.toml always wins; a lock that states another one for the same source is refused.
- A lock entry that versions.toml has no checksum for, or with another source, is refused unless the operator named
  the lock's own digest (`--bundle-sha256`).
- An image lies in a bundle as an archive. The digest in versions.toml is of the manifest inside, so that is what is
  compared before the archive is used; its name is one that the pin itself gives, unless the lock is trusted.

Every refusal is a BundleError that lists all artifacts at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from binderbox.artifacts.versions import SHA256, Kind, Pin
from binderbox.errors import BundleError

LOCK_NAME = "bundle.lock.json"
ANEW = "get the bundle again, or make it anew: binderbox bundle create DIR"
_FILE_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@=~-]*")
_LISTS = ("images", "features")
_ENTRY_KEYS = {"name", "kind", "file", "sha256", "source", "version", *_LISTS}


@dataclass(frozen=True)
class LockEntry:
    """One artifact of a bundle; `images` are the exact names inside an image archive.

    `features` are what it can beyond its version, e.g. k3s "cgroup-v1": its kubelet accepts cgroup v1.
    """

    name: str
    kind: str
    file: str
    sha256: str
    source: str
    version: str
    images: tuple[str, ...] = ()
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Artifact:
    """One artifact with a checksum that must hold before it is used.

    From a bundle `file` is its path inside it, and `sha256` is of that file; `manifest` is the digest that the one image
    in an archive must have, where it is pinned. From sources a file, tar or chart has a `url`, and `sha256` is of what
    it serves; an image has `pull`, the reference by its digest, and `images` holds the name that it is run under.
    `trust` is why the checksum is believed: pinned, recorded, stated, bundle or followed; empty where nobody vouches.
    `of` is the chart that runs the image, where that is why it is here.
    """

    name: str
    kind: Kind
    sha256: str
    source: str
    version: str
    file: str | None = None
    url: str | None = None
    images: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    trust: str = ""
    pull: str | None = None
    manifest: str | None = None
    of: str = ""

    @property
    def followed(self) -> bool:
        """Whether its version is the follower's, not that of versions.toml or of a bundle."""
        return self.trust == "followed"


def parse_lock(text: str) -> dict[str, LockEntry]:
    """Read `bundle.lock.json`; every fault at once, as BundleError."""
    try:
        lock = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refused([f"{LOCK_NAME} is no JSON: {error}"]) from error
    if not isinstance(lock, dict) or lock.get("schema") != 1 or not isinstance(lock.get("artifacts"), list):
        raise _refused([f'{LOCK_NAME}: expected {{"schema": 1, "artifacts": [...]}}'])
    entries: dict[str, LockEntry] = {}
    faults: list[str] = []
    for place, raw in enumerate(lock["artifacts"]):
        found = _entry_faults(raw, f"artifacts[{place}]")
        if not found and raw["name"] in entries:
            found = [f"{raw['name']}: stands twice in {LOCK_NAME}"]
        if not found:
            entries[raw["name"]] = LockEntry(**{**raw, **{key: tuple(raw.get(key, ())) for key in _LISTS}})
        faults += found
    if faults:
        raise _refused(faults)
    return entries


def _entry_faults(raw: Any, place: str) -> list[str]:
    if not isinstance(raw, dict):
        return [f"{place}: expected an object"]
    where = raw["name"] if isinstance(raw.get("name"), str) else place
    faults = [f"{where}: unknown key {key!r}" for key in raw if key not in _ENTRY_KEYS]
    for key in sorted(_ENTRY_KEYS - set(_LISTS)):
        if not isinstance(raw.get(key), str) or not raw[key]:
            faults.append(f"{where}: {key}: expected text, found {raw.get(key)!r}")
    features = raw.get("features", [])
    if not isinstance(features, list) or not all(isinstance(feature, str) for feature in features):
        faults.append(f"{where}: features: expected a list of words")
    images = raw.get("images", [])
    if not isinstance(images, list) or not all(isinstance(image, str) and image for image in images):
        faults.append(f"{where}: images: expected a list of image names")
    elif raw.get("kind") == "image" and not images:
        faults.append(f"{where}: images: an image archive must say which names are in it")
    if isinstance(raw.get("sha256"), str) and not SHA256.fullmatch(raw["sha256"]):
        faults.append(f"{where}: sha256: expected 64 small hex digits, found {raw['sha256']!r}")
    file = raw.get("file")
    if isinstance(file, str) and file and not is_inside(file):
        faults.append(f"{where}: file: {file!r} is no plain path inside the bundle")
    return faults


def is_inside(file: str) -> bool:
    """Whether it is a plain path inside a bundle."""
    path = PurePosixPath(file)
    return str(path) == file and all(_FILE_PART.fullmatch(part) for part in path.parts)


def resolve(
    pins: Mapping[str, Pin],
    lock: Mapping[str, LockEntry],
    lock_sha256: str,
    allowed_lock_sha256: str | None,
) -> dict[str, Artifact]:
    """Say of every pinned artifact what the bundle has for it.

    `lock_sha256` is the digest of the lock's text as read, `allowed_lock_sha256` what the operator named.
    """
    allowed = allowed_lock_sha256.lower().removeprefix("sha256:") if allowed_lock_sha256 else None
    if allowed is not None and allowed != lock_sha256:
        raise BundleError(
            f"{LOCK_NAME}: expected sha256 {allowed}, found {lock_sha256}",
            cause="--bundle-sha256 names another bundle, or this one was changed",
            remedy=f"{ANEW}; if the change is yours: --bundle-sha256 {lock_sha256}",
        )
    found: dict[str, Artifact] = {}
    faults: list[str] = []
    needs_trust = False
    for name, pin in pins.items():
        if has_tables(pin, pins):
            continue
        entry = lock.get(name)
        if entry is None:
            faults.append(f"{name}: is not in the bundle")
            continue
        fault, distrusted = _judge_entry(pin, entry, trusted=allowed is not None)
        if fault:
            faults.append(fault)
            needs_trust = needs_trust or distrusted
            continue
        found[name] = Artifact(
            name,
            pin.kind,
            entry.sha256,
            entry.source,
            entry.version,
            file=entry.file,
            images=entry.images,
            # only a trusted lock may say more than versions.toml
            features=entry.features if allowed else pin.features,
            trust="pinned" if pin.sha256 and entry.source == pin.source else "bundle",
            manifest=pin.sha256 if pin.kind == "image" and entry.source == pin.source else None,
            of=pin.of,
        )
    if faults:
        remedy = ANEW
        if needs_trust:
            remedy = f"if you made or trust this very bundle: --bundle-sha256 {lock_sha256}"
        raise _refused(faults, remedy)
    return found


def _judge_entry(pin: Pin, entry: LockEntry, *, trusted: bool) -> tuple[str, bool]:
    """Return the fault of a lock entry ("" if none), and whether trust in the lock would cure it."""
    if entry.kind != pin.kind:
        return f"{pin.name}: expected kind {pin.kind}, the bundle says {entry.kind}", False
    if entry.source != pin.source:
        if trusted:
            return "", False
        return f"{pin.name}: the bundle has it from {entry.source!r}, versions.toml from {pin.source!r}", True
    if pin.sha256 is None:
        if trusted:
            return "", False
        return f"{pin.name}: versions.toml has no checksum for the bundle's file {entry.file}", True
    if pin.kind == "image":
        # the archive itself is what says, when it is used: its manifest's digest and its one name
        if len(entry.images) != 1:
            fault = (
                f"{pin.name}: expected one image in {entry.file}, the bundle says {', '.join(entry.images)}"
            )
            return fault, False
        names = (pin.source, exact_name(pin.source, pin.sha256))
        if trusted or entry.images[0] in names:
            return "", False
        return f"{pin.name}: expected the name {' or '.join(names)}, the bundle says {entry.images[0]}", True
    if pin.sha256 != entry.sha256:
        return f"{pin.name}: expected sha256 {pin.sha256}, the bundle's lock says {entry.sha256}", False
    return "", False


def has_tables(pin: Pin, pins: Mapping[str, Pin]) -> bool:
    """Whether it stands for the images of a chart each of which has a table of its own here."""
    return bool(pin.images_of) and any(one.of == pin.images_of for one in pins.values())


def exact_name(source: str, sha256: str) -> str:
    """`docker.io/library/registry:3` with its digest in place of its tag."""
    path, _, name = source.rpartition("/")
    return f"{path}/{name.partition(':')[0]}@sha256:{sha256}"


def _refused(faults: list[str], remedy: str = ANEW) -> BundleError:
    return BundleError(
        "\n".join(faults), cause="an artifact is used only with a verified checksum", remedy=remedy
    )
