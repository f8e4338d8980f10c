"""Which images a chart of BinderHub runs with our values, read from the packed chart's own values."""

from __future__ import annotations

import io
import tarfile
import zlib
from typing import Any

import yaml

from binderbox.artifacts.statements import Unstated

CHART_MB = 16
_UNPACKING = (tarfile.TarError, zlib.error, OSError, EOFError)
_READING = (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError, RecursionError)
# Of binderhub's values and of those of the chart below it, jupyterhub: the pods that our values leave on.
OWN = (("image",),)
BELOW = (("hub", "image"), ("proxy", "chp", "image"))


def read(packed: bytes) -> dict[str, str]:
    """Short name to reference, such as `k8s-hub`; raises Unstated for what is no chart of BinderHub."""
    try:
        own, below = _values(packed)
        over = own.get("jupyterhub", {})
        images = [_image(own, {}, path) for path in OWN] + [_image(over, below, path) for path in BELOW]
    except (*_UNPACKING, *_READING) as error:
        raise Unstated(
            f"expected a packed chart of BinderHub with the names of its images, found none: {error}"
        ) from error
    return {image.rpartition("/")[2].partition(":")[0]: image for image in images}


def _values(packed: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values of the chart, and of jupyterhub in it, which is a folder or an archive of its own."""
    own: dict[str, Any] = {}
    below: dict[str, Any] = {}
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        for info in tar.getmembers():
            parts = info.name.split("/")
            file = tar.extractfile(info) if info.isfile() and info.size < CHART_MB * 1_000_000 else None
            if file is None:
                continue
            if parts[1:] == ["values.yaml"]:
                own = yaml.safe_load(file.read())
            elif parts[1:] == ["charts", "jupyterhub", "values.yaml"]:
                below = yaml.safe_load(file.read())
            elif len(parts) == 3 and parts[1] == "charts" and parts[2].startswith("jupyterhub-"):
                below = _values(file.read())[0]
    return own, below


def _image(over: dict[str, Any], under: dict[str, Any], path: tuple[str, ...]) -> str:
    """`name:tag`, where what the upper chart says wins key by key, as helm has it."""
    found: dict[str, Any] = {}
    for tree in (under, over):
        place: Any = tree
        for key in path:
            place = (place or {}).get(key)
        found |= {key: value for key, value in (place or {}).items() if value is not None}
    return f"{found['name']}:{found['tag']}"
