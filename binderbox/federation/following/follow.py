"""What a node must do to run what the prime runs. Pure: pins, history and answers in, one decision out.

The redirector drops a member whose `/versions` differs from the prime's as JSON values (mybinder.org-deploy 95860dbc
images/federation-redirect/app.py), so both must be equal: `builder_info.build_image`, which is the pin
`KubernetesBuildExecutor.build_image` of mybinder/values.yaml, and `binderhub`, which no pin says: a chart's version
and the program's own version are counted from different tags. So a chart's version is asked of its own image.
Standard library only, for Python 3.10 and newer: it travels to the node.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from binderbox.federation.following.followed import Record
from binderbox.member.window import in_window

CHART_FILE, VALUES_FILE = "mybinder/Chart.yaml", "mybinder/values.yaml"
DEPENDENCY = "binderhub"
FULL_SHARE = 0.7  # deploying at high load made things worse: docs/federation.md row 74
CRASHES = 3
NO_IMAGE = ("ErrImageNeverPull", "InvalidImageName")
MAX_CHARTS = 6  # as many charts are asked for their version before it is said that none matches

IMAGE = re.compile(r"[a-z0-9][a-z0-9._-]*(:[0-9]+)?(/[a-z0-9._-]+)+:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")

Action = Literal["nothing", "wait", "alert", "follow"]
Verdict = Literal[
    "equal",
    "held",
    "waiting",
    "busy",
    "following",
    "unreachable",
    "unmatched",
    "refused",
    "failed",
    "rolled-back",
]


STUCK: tuple[Verdict, ...] = (
    "unmatched",
    "refused",
    "failed",
    "rolled-back",
)  # the next run will say it again


@dataclass(frozen=True)
class Pins:
    """What one commit of the deployment repository pins: BinderHub's chart, its index, and the image of builds."""

    commit: str
    chart: str
    repository: str
    build_image: str


@dataclass(frozen=True)
class Range:
    """Versions that may be followed: from `at_least` on, and `below`; both as numbers with dots, empty for no end."""

    at_least: str = ""
    below: str = ""

    def holds(self, version: str) -> bool:
        numbers = leading_numbers(version)
        above = not self.at_least or numbers >= leading_numbers(self.at_least)
        return bool(numbers) and above and (not self.below or numbers < leading_numbers(self.below))


@dataclass(frozen=True)
class Rules:
    """What may be followed.

    + chart_places: addresses below which the index and its charts may lie; image_sources: repositories without a tag
    + window: "HH:MM-HH:MM" in UTC or empty
    """

    chart_places: tuple[str, ...]
    image_sources: tuple[str, ...]
    chart_range: Range = Range()
    build_image_range: Range = Range()
    window: str = ""


@dataclass(frozen=True)
class Seen:
    """What the node saw: both `/versions` (None: no usable answer), whether it is held and why, and the UTC time of day."""

    prime: Any
    own: Any
    prime_error: str = ""
    held: str | None = None
    minute_of_day: int = 0
    now: bool = False  # somebody asked for it: the window does not count


@dataclass(frozen=True)
class Decision:
    """What to do, in one word for machines and one sentence for people."""

    action: Action
    verdict: Verdict
    why: str


def leading_numbers(version: str) -> tuple[int, ...]:
    """`1.0.0-0.dev.git.3983.h38` is (1, 0, 0): order by release, which is all that a range is about."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def decide(seen: Seen, rules: Rules) -> Decision:
    """Whether there is anything to follow now."""
    if not usable(seen.prime):
        why = seen.prime_error or f"the prime's /versions is not what BinderHub says: {str(seen.prime)[:80]}"
        return Decision("alert", "unreachable", why)
    if seen.prime == seen.own:
        return Decision("nothing", "equal", f"equal to the prime: {told(seen.prime)}")
    change = f"the prime runs {told(seen.prime)}, this node {told(seen.own)}"
    if seen.held is not None:
        return Decision("wait", "held", f"held{f' ({seen.held})' if seen.held else ''}: {change}")
    if not seen.now and not in_window(rules.window, seen.minute_of_day):
        return Decision("wait", "waiting", f"waiting for {rules.window} UTC: {change}")
    return Decision("follow", "following", change)


def usable(versions: Any) -> bool:
    """Whether it is a `/versions` of BinderHub b9fad995: a build image and the program's own version."""
    info = versions.get("builder_info") if isinstance(versions, dict) else None
    image = info.get("build_image") if isinstance(info, dict) else None
    return isinstance(image, str) and bool(image) and isinstance(versions.get("binderhub"), str)


def told(versions: Any) -> str:
    if not usable(versions):
        return "nothing that answers"
    return f"BinderHub {versions['binderhub']} with {versions['builder_info']['build_image']}"


def read_pins(commit: str, chart: Any, values: Any) -> Pins:
    """The pins of a commit from its parsed files; raises ValueError naming the file and what is not there."""
    try:
        found = [one for one in chart["dependencies"] if one["name"] == DEPENDENCY]
        (dependency,) = found
        version, repository = dependency["version"], dependency["repository"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{commit[:8]} {CHART_FILE}: no single dependency {DEPENDENCY!r}") from error
    try:
        image = values["binderhub"]["config"]["KubernetesBuildExecutor"]["build_image"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{commit[:8]} {VALUES_FILE}: no KubernetesBuildExecutor.build_image") from error
    if not all(isinstance(one, str) and one for one in (version, repository, image)):
        raise ValueError(f"{commit[:8]}: a pin is no text: {version!r}, {repository!r}, {image!r}")
    return Pins(commit, version, repository.rstrip("/"), image)


def candidates(history: Iterable[Pins], prime: Mapping[str, Any]) -> tuple[Pins, ...]:
    """Pins with the prime's build image, newest first, each chart once; `history` is read no further than needed."""
    wanted = prime["builder_info"]["build_image"]
    found: dict[str, Pins] = {}
    for pins in history:
        if pins.build_image == wanted and pins.chart not in found:
            found[pins.chart] = pins
            if len(found) == MAX_CHARTS:
                break
    return tuple(found.values())


def refusal(pins: Pins, rules: Rules) -> str:
    """Why these pins may not be followed, or nothing."""
    if pins.repository not in [place.rstrip("/") for place in rules.chart_places]:
        return f"the chart comes from {pins.repository}, allowed is {' or '.join(rules.chart_places)}"
    if not rules.chart_range.holds(pins.chart):
        return f"chart {pins.chart} is outside of {_range(rules.chart_range)}"
    if not image_allowed(pins.build_image, rules):
        return f"the image {pins.build_image} is from none of {', '.join(rules.image_sources)}"
    if not rules.build_image_range.holds(tag_of(pins.build_image)):
        return f"{pins.build_image} is outside of {_range(rules.build_image_range)}"
    return ""


def place_allowed(url: str, places: Iterable[str]) -> bool:
    """Whether an address lies below one of the places, as the server of it understands a path."""
    asked = urlsplit(url)
    steps = [unquote(step) for step in asked.path.split("/")]
    if any(step in (".", "..") or "/" in step or "\\" in step for step in steps):
        return False
    return any(
        (asked.scheme, asked.netloc.lower()) == (place.scheme, place.netloc.lower())
        and asked.path.startswith(place.path.rstrip("/") + "/")
        for place in map(urlsplit, places)
    )


def image_allowed(image: str, rules: Rules) -> bool:
    """By repository, whole: `quay.io/a/b` allows `quay.io/a/b:1`, not `quay.io/a/b-evil:1`."""
    return repository_of(image) in rules.image_sources


def repository_of(image: str) -> str:
    name = image.partition("@")[0]
    head, _, last = name.rpartition("/")
    return f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]


def tag_of(image: str) -> str:
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def failed_before(pins: Pins, record: Record, again: bool) -> str:
    """Why pins that could be followed are left alone, or nothing: they failed here, and nobody asked for another try."""
    failure = record.failure_of(pins.chart, pins.build_image)
    if failure is None or again:
        return ""
    return f"chart {pins.chart} with {pins.build_image} failed its proof here at {failure.at}: {failure.why}"


def _range(of: Range) -> str:
    return f"{of.at_least or 'anything'} to below {of.below or 'anything'}"


def with_build_image(values: str, image: str) -> str:
    """The values that binderbox wrote (one key a line, sorted) with another build image; raises ValueError.

    An edit of one line, because the text must be the very one that an install would write: its checksum is compared.
    """
    if not IMAGE.fullmatch(image):
        raise ValueError(f"{image!r} is no name of an image")
    changed, count = re.subn(r"(?m)^( +build_image: )\S+$", lambda found: found[1] + image, values)
    if count != 1:
        raise ValueError(f"the values have {count} lines with a build_image, expected one")
    return changed


def launches_under_way(pods: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Names of build pods that run, and of user pods that are not ready yet; `pods` as the API server lists them."""
    found = []
    for pod in pods:
        component = pod["metadata"].get("labels", {}).get("component")
        phase, states = pod["status"].get("phase"), pod["status"].get("containerStatuses", [])
        ready = bool(states) and all(state.get("ready") for state in states)
        building = component == "binderhub-build" and phase in ("Pending", "Running")
        starting = component == "singleuser-server" and phase in ("Pending", "Running") and not ready
        if building or starting:
            found.append(str(pod["metadata"]["name"]))
    return tuple(found)


def too_full(pods: Iterable[Mapping[str, Any]], quota: Any, share: float = FULL_SHARE) -> tuple[str, ...]:
    """Says so when that much of the quota is taken; `quota` is LaunchQuota.total_quota, None for none."""
    users = sum(pod["metadata"].get("labels", {}).get("component") == "singleuser-server" for pod in pods)
    if not isinstance(quota, int) or not quota or users < share * quota:
        return ()
    return (f"{users} users of {quota}",)


def judge_pods(pods: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, ...], bool]:
    """What keeps containers of the member's own pods from being ready, and whether waiting is of no use.

    A container that has ended `CRASHES` times, or whose image cannot be had, does not come up by waiting.
    """
    told, hopeless = [], False
    for pod in pods:
        if pod["metadata"].get("labels", {}).get("component") in ("binderhub-build", "singleuser-server"):
            continue
        for state in pod["status"].get("containerStatuses", []):
            waiting = state["state"].get("waiting") or state["state"].get("terminated")
            if state["ready"] or not waiting:
                continue
            reason = str(waiting.get("reason", ""))
            told.append(f"{pod['metadata']['name']}: {reason} {waiting.get('message', '')[:200]}".rstrip())
            hopeless = hopeless or state.get("restartCount", 0) >= CRASHES or reason in NO_IMAGE
    return tuple(told), hopeless
