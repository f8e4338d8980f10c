"""Which images an upstream chart runs with our values, read from the packed chart's own values."""

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
# Of each chart's values, by the folder that it is packed in: the pods that our values leave on, which of their keys hold
# the name; then those of jupyterhub, the chart below binderhub's, over which binderhub's own values win.
OWN = {
    "binderhub": (("image",),),
    "cryptnono": (("image",), ("fetchKernelHeaders", "image")),
}
BELOW = {"binderhub": (("hub", "image"), ("proxy", "chp", "image")), "cryptnono": ()}
_NAMES = ("name", "repository")


def read(packed: bytes) -> dict[str, str]:
    """Short name to reference, such as `k8s-hub`; raises Unstated for what is none of these charts."""
    try:
        chart, own, below = _values(packed)
        over = own.get("jupyterhub", {})
        images = [_image(own, {}, path) for path in OWN[chart]]
        images += [_image(over, below, path) for path in BELOW[chart]]
    except (*_UNPACKING, *_READING) as error:
        raise Unstated(
            f"expected a packed chart of {' or '.join(OWN)} with the names of its images, found none: {error}"
        ) from error
    return {image.rpartition("/")[2].partition(":")[0]: image for image in images}


def _values(packed: bytes) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Name and values of the chart, and the values of jupyterhub in it, which is a folder or an archive of its own."""
    chart = ""
    own: dict[str, Any] = {}
    below: dict[str, Any] = {}
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        for info in tar.getmembers():
            parts = info.name.split("/")
            file = tar.extractfile(info) if info.isfile() and info.size < CHART_MB * 1_000_000 else None
            if file is None:
                continue
            if parts[1:] == ["values.yaml"]:
                chart, own = parts[0], yaml.safe_load(file.read())
            elif parts[1:] == ["charts", "jupyterhub", "values.yaml"]:
                below = yaml.safe_load(file.read())
            elif len(parts) == 3 and parts[1] == "charts" and parts[2].startswith("jupyterhub-"):
                below = _values(file.read())[1]
    return chart, own, below


def _image(over: dict[str, Any], under: dict[str, Any], path: tuple[str, ...]) -> str:
    """`name:tag`, where what the upper chart says wins key by key, as helm has it."""
    found: dict[str, Any] = {}
    for tree in (under, over):
        place: Any = tree
        for key in path:
            place = (place or {}).get(key)
        found |= {key: value for key, value in (place or {}).items() if value is not None}
    (name,) = {found[key] for key in _NAMES if key in found}
    return f"{name}:{found['tag']}"
