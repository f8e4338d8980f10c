"""repo2docker's container engine `binderbox`: builds happen on the node, behind the door.

repo2docker makes two of these in one run (one to look an image up, one to build), so making one costs
nothing. It is found as entry point `repo2docker.engines`, which repo2docker looks for in `*.dist-info`
directories on PYTHONPATH.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, Any

from repo2docker.buildpacks import base
from repo2docker.engine import ContainerEngine, ContainerEngineException

from . import client, context, packing, reasons

LINGER_S = 4.0  # BinderHub misses the log of a build pod that is gone within about 2 s


class BuildFailed(ContainerEngineException):  # type: ignore[misc]
    """The build failed. Not repo2docker's own BuildError: that one is swallowed without a word."""


class BinderboxEngine(ContainerEngine):  # type: ignore[misc]
    """Sends the build context to the door, and yields the log that comes back."""

    string_output = True

    def __init__(self, **kwargs: Any) -> None:
        """Made before repo2docker looks at the repository: whatever ends it from here on is read by whoever waits."""
        super().__init__(**kwargs)
        packing.note(base)
        atexit.register(_linger)
        if sys.excepthook.__module__ != reasons.__name__:
            sys.excepthook = reasons.with_the_file(sys.excepthook)

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
        try:
            yield from client.build(header, _sender(fileobj, path))
        except Exception as error:
            raise BuildFailed(str(error)) from None
        atexit.unregister(_linger)


def _sender(fileobj: IO[bytes] | None, path: str) -> Callable[[Callable[[bytes], None]], None]:
    """The way in which the context is there: noted, as an archive, or as a directory."""
    if isinstance(fileobj, packing.Packed) and fileobj.noted:
        return fileobj.noted.send
    if fileobj is not None:
        return partial(context.send_archive, fileobj)
    return partial(context.send_directory, path or ".")


def _linger() -> None:
    """repo2docker has logged why it ends before that: an exception by its hook, the rest as it went."""
    time.sleep(LINGER_S)


def _relative(dockerfile: str, path: str) -> str:
    return (
        os.path.relpath(dockerfile, path or ".")
        if os.path.isabs(dockerfile)
        else os.path.normpath(dockerfile)
    )
