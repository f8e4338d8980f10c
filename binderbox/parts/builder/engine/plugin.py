"""repo2docker's container engine `binderbox`: builds happen on the node, behind the door.

repo2docker makes two of these in one run (one to look an image up, one to build), so making one costs
nothing. It is found as entry point `repo2docker.engines`, which repo2docker looks for in `*.dist-info`
directories on PYTHONPATH.
"""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Iterator
from functools import partial
from typing import IO, Any

from repo2docker.engine import ContainerEngine, ContainerEngineException

from . import client, context

LINGER_S = 4.0  # BinderHub misses the log of a build pod that is gone within about 2 s


class BuildFailed(ContainerEngineException):  # type: ignore[misc]
    """The build failed. Not repo2docker's own BuildError: that one is swallowed without a word."""


class BinderboxEngine(ContainerEngine):  # type: ignore[misc]
    """Sends the build context to the door, and yields the log that comes back."""

    string_output = True

    def inspect_image(self, image: str) -> None:
        """Say that no image is here: whether to build is BinderHub's decision, taken at the registry."""
        return None

    def run(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("the binderbox engine builds; Kubernetes runs")

    def build(
        self,
        *,
        push: bool = False,
        load: bool = False,
        buildargs: dict[str, str] | None = None,
        cache_from: list[str] | None = None,
        container_limits: dict[str, Any] | None = None,
        tag: str = "",
        custom_context: bool = False,
        dockerfile: str = "",
        fileobj: IO[bytes] | None = None,
        path: str = "",
        labels: dict[str, str] | None = None,
        platform: str | None = None,
        **kwargs: Any,
    ) -> Iterator[str]:
        """Build on the node. The node pushes, keeps the cache and sets the limits, so those are not sent."""
        header = {
            "tag": tag,
            "dockerfile": _relative(dockerfile or "Dockerfile", path),
            "buildargs": {key: str(value) for key, value in (buildargs or {}).items()},
            "labels": {key: str(value) for key, value in (labels or {}).items()},
            "platform": platform or "",
        }
        send = (
            partial(context.send_archive, fileobj)
            if fileobj is not None
            else partial(context.send_directory, path or ".")
        )
        try:
            yield from client.build(header, send)
        except Exception as error:
            atexit.register(time.sleep, LINGER_S)  # repo2docker logs the exception before that
            raise BuildFailed(str(error)) from None


def _relative(dockerfile: str, path: str) -> str:
    return (
        os.path.relpath(dockerfile, path or ".")
        if os.path.isabs(dockerfile)
        else os.path.normpath(dockerfile)
    )
