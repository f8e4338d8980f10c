"""Asks publishers what their artifacts are: from this machine, else from the node. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from typing import TypeVar
from urllib.parse import urlsplit

from binderbox.artifacts import chart_images, statements
from binderbox.artifacts.records import Record
from binderbox.artifacts.statements import Unstated
from binderbox.artifacts.versions import Pin
from binderbox.commands.artifacts.patience import patiently
from binderbox.commands.artifacts.registries import digest_of, manifest_url
from binderbox.errors import BundleError, NoAnswer, TooLong
from binderbox.output.requests import Ask

T = TypeVar("T")
AT_ONCE = 8
Askers = Sequence[tuple[str, Ask]]
"""Who can ask, in the order in which they are tried: "client" or "node", and how."""


def ask(
    pins: Mapping[str, Pin], wanted: Iterable[Pin], known: Mapping[str, str], askers: Askers
) -> dict[str, Record]:
    """Have the publishers of the wanted artifacts state their sums; raises BundleError with all that did not.

    `known` are the sums of those that need no asking, by name: a chart's own is needed to read its images.
    """
    wanted = list(wanted)
    plain = [pin for pin in wanted if not pin.images_of]
    found, faults = _all(plain, askers)
    sums = {**known, **{name: record.sha256 for name, record in found.items()}}
    for pin in wanted:
        if pin.images_of and sums.get(pin.images_of):
            chart = pins[pin.images_of]
            try:
                images, more = _images(chart, sums[chart.name], askers)
            except Unstated as error:
                faults.append(f"{pin.name} {pin.version}: {error}")
                continue
            found |= images
            faults += more
    if faults:
        raise BundleError(
            "\n".join(faults),
            cause="an artifact without a pin is used only when its publisher states its checksum, under its exact name",
            remedy="look at what the publisher says; pin what you trust in a file for --versions FILE, or try again later",
        )
    return found


def _all(pins: Sequence[Pin], askers: Askers) -> tuple[dict[str, Record], list[str]]:
    found: dict[str, Record] = {}
    faults: list[str] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for pin, told in zip(pins, pool.map(lambda pin: _told(pin, askers), pins), strict=True):
            if isinstance(told, Record):
                found[pin.name] = told
            else:
                faults.append(told)
    return found, faults


def _told(pin: Pin, askers: Askers) -> Record | str:
    """What its publisher states, or the fault: publisher, file, what was expected and what was found."""
    try:
        (stated, by), whence = _first(askers, lambda how: _stated(pin, how))
    except NoAnswer as error:
        return f"{pin.name} {pin.version}: {pin.checksum_url}: its publisher could not be asked: {error}"
    except Unstated as error:
        return f"{pin.name} {pin.version}: {pin.checksum_url}: {error}"
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Record(pin.name, pin.version, pin.source, stated, by, whence, now)


def _first(askers: Askers, look: Callable[[Ask], T]) -> tuple[T, str]:
    """What the first who reaches a publisher finds there, and who that is; raises NoAnswer with everybody's reason."""
    reasons: list[str] = []
    for whence, how in askers:
        try:
            return look(patiently(how)), whence
        except TooLong as error:
            raise Unstated(str(error)) from error
        except NoAnswer as error:
            reasons.append(str(error))
    raise NoAnswer("; ".join(reasons))


def _stated(pin: Pin, how: Ask) -> tuple[str, str]:
    """(sum, who stated it). Raises NoAnswer or Unstated."""
    url = pin.checksum_url or ""
    by = urlsplit(url).hostname or ""
    if pin.kind == "image":
        return digest_of(how, url), by
    said = how(url, {}, statements.INDEX_MB if pin.kind == "chart" else statements.LIST_MB)
    if said.status != 200:
        raise Unstated(f"expected {statements.file_of(url)}, found HTTP {said.status}")
    stated = statements.read(pin, said.text)
    release = statements.release_of(pin.source)
    if release and (digest := _github_says(release, how)):
        if digest != stated:
            raise Unstated(
                f"states {stated} for {release[1]}, GitHub's own record of the release says {digest}"
            )
        by = f"{by}, api.github.com"
    return stated, by


def _github_says(release: tuple[str, str], how: Ask) -> str | None:
    """GitHub's digest of an asset, made when it was uploaded; None where it cannot be had, such as past the rate limit."""
    url, asset = release
    try:
        said = how(url, {"Accept": "application/vnd.github+json"}, statements.LIST_MB)
    except NoAnswer:
        return None
    try:
        return statements.in_release(said.text, asset) if said.status == 200 else None
    except Unstated as error:
        raise Unstated(f"GitHub's own record of the release, {url}: {error}") from error


def _images(chart: Pin, chart_sha256: str, askers: Askers) -> tuple[dict[str, Record], list[str]]:
    """The images that a chart runs, each as its registry states it; raises Unstated for a wrong chart."""
    packed = _packed(chart, askers)
    if (digest := sha256(packed).hexdigest()) != chart_sha256:
        raise Unstated(f"{chart.source}: expected sha256 {chart_sha256}, found {digest}")
    pins = [
        Pin(name, "image", image.rpartition(":")[2], image, checksum_url=manifest_url(image))
        for name, image in chart_images.read(packed).items()
    ]
    found, faults = _all(pins, askers)
    of_chart = {name: Record(**{**vars(record), "images_of": chart_sha256}) for name, record in found.items()}
    return of_chart, faults


def _packed(chart: Pin, askers: Askers) -> bytes:
    try:
        said, _ = _first(askers, lambda how: how(chart.source, {}, chart_images.CHART_MB))
    except (NoAnswer, Unstated) as error:
        raise Unstated(f"{chart.source}: could not be fetched: {error}") from error
    if said.status != 200:
        raise Unstated(f"{chart.source}: expected a chart, found HTTP {said.status}")
    return said.body
