"""Which pod is calling, and which image it may build: the API server's word."""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ...repositories import owner_of, same
from .cgroup import PodProcess
from .config import DoorConfig
from .refusal import Refused

BUILD_LABEL = "binderhub-build"  # binderhub/build.py: label `component` of its build pods
CONTAINER = "builder"
API_BACK_S = 100.0  # for an API server that restarts; the engine waits for its first answer for 120 s
ASK_WITHIN_S = 10.0


@dataclass(frozen=True)
class Permit:
    """What one pod may build."""

    pod: str
    uid: str
    repository: str
    tag: str

    @property
    def names(self) -> frozenset[str]:
        """By which slots are shared: the repository's, and its owner's."""
        return frozenset({same(self.repository), owner_of(self.repository)})


class PodLookup(Protocol):
    def find(self, uid: str, still_there: Callable[[], None]) -> dict[str, Any] | None:
        """Return the pod with this UID as the API server shows it, or None; `still_there` raises to give up."""


class ApiPods:
    """Reads the build pods of one namespace with a token that can do nothing else."""

    def __init__(self, config: DoorConfig) -> None:
        self._config = config
        self._url = (
            f"{config.api_server}/api/v1/namespaces/{urllib.parse.quote(config.namespace, safe='')}/pods?"
            + urllib.parse.urlencode({"labelSelector": f"component={BUILD_LABEL}"})
        )

    def find(self, uid: str, still_there: Callable[[], None] = lambda: None) -> dict[str, Any] | None:
        deadline = time.monotonic() + API_BACK_S
        while True:
            try:
                pods = self._pods()
            except (OSError, ValueError, http.client.HTTPException) as error:
                if time.monotonic() + 1 > deadline:
                    text = f"the API server did not tell which pod this is ({error}); please try again"
                    raise Refused("api", text) from None
                time.sleep(1)
                still_there()
                continue
            return next((pod for pod in pods if pod.get("metadata", {}).get("uid") == uid), None)

    def _pods(self) -> list[dict[str, Any]]:
        token = Path(self._config.api_token_file).read_text().strip()
        request = urllib.request.Request(self._url, headers={"Authorization": f"Bearer {token}"})
        context = ssl.create_default_context(cafile=self._config.api_ca_file)
        with urllib.request.urlopen(request, timeout=ASK_WITHIN_S, context=context) as answer:
            items = json.load(answer)["items"]
        return [item for item in items if isinstance(item, dict)]


def judge_pod(
    pod: dict[str, Any] | None,
    process: PodProcess,
    namespace: str,
    image_prefix: str,
    reserved: tuple[str, ...],
) -> Permit:
    """Return what the pod may build, or raise Refused with what is wrong about it."""
    if pod is None:
        raise Refused("not-a-build-pod", f"pod {process.uid} is not a build pod of namespace {namespace}")
    metadata, spec, status = (pod.get(key) or {} for key in ("metadata", "spec", "status"))
    name = str(metadata.get("name"))
    if metadata.get("uid") != process.uid or metadata.get("namespace") != namespace:
        raise Refused("not-a-build-pod", f"pod {name} is not the caller's pod in namespace {namespace}")
    if (metadata.get("labels") or {}).get("component") != BUILD_LABEL:
        raise Refused("not-a-build-pod", f"pod {name} has no label component={BUILD_LABEL}")
    if metadata.get("deletionTimestamp") or status.get("phase") not in ("Pending", "Running"):
        raise Refused("pod-ended", f"pod {name} is not running any more")
    builders = [c for c in spec.get("containers") or [] if c.get("name") == CONTAINER]
    if len(builders) != 1:
        raise Refused("not-a-build-pod", f"pod {name} has no container {CONTAINER}")
    for shown in status.get("containerStatuses") or []:
        shown_id = str(shown.get("containerID") or "").rpartition("//")[2]
        # the kubelet reports a container's id a moment after it runs, so a missing one proves nothing
        if shown.get("name") == CONTAINER and shown_id and shown_id != process.container_id:
            raise Refused("other-container", f"the caller is not in container {CONTAINER} of pod {name}")
    tag = image_argument([*(builders[0].get("command") or []), *(builders[0].get("args") or [])])
    check_tag(tag, image_prefix, reserved)
    return Permit(name, process.uid, repository_of(pod), tag)


def repository_of(pod: dict[str, Any]) -> str:
    """The repository that BinderHub noted on its build pod, or an empty text."""
    return str(((pod.get("metadata") or {}).get("annotations") or {}).get("binder-repo") or "")


def image_argument(words: list[str]) -> str:
    """Return the value of `--image` among the words of repo2docker's command line, which must be there once."""
    found = []
    for index, word in enumerate(words):
        if word.startswith("--image="):
            found.append(word.removeprefix("--image="))
        elif word == "--image":
            found.extend(words[index + 1 : index + 2])
    if len(found) != 1:
        raise Refused("no-image", f"the build pod's command names {len(found)} images, expected one --image")
    return found[0]


def check_tag(tag: str, image_prefix: str, reserved: tuple[str, ...]) -> None:
    """Refuse a tag that is not one of user images.

    What comes out of here stands in BuildKit's comma-separated output option and in commands, so its
    letters are those of the reference grammar and nothing else.
    """
    if tag in reserved or tag.rpartition(":")[0] in {name.rpartition(":")[0] for name in reserved}:
        raise Refused("system-image", f"{tag} is an image of the system and is never built here")
    if not image_prefix or not tag.startswith(image_prefix):
        raise Refused("foreign-tag", f"{tag[:200]!r} does not start with {image_prefix}")
    rest = tag.removeprefix(image_prefix)
    repository, colon, label = rest.rpartition(":")
    if not colon or len(tag) > 400 or not _is_path(repository) or not _is_label(label):
        raise Refused("bad-tag", f"{tag[:200]!r} is not a valid image name")


_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
_LABEL = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def _is_path(text: str) -> bool:
    return bool(text) and all(
        part and part[-1].isalnum() and _LOWER.issuperset(part) for part in text.split("/")
    )


def _is_label(text: str) -> bool:
    return 0 < len(text) <= 128 and _LABEL.issuperset(text) and text[0] not in ".-"
