"""buildctl's arguments for one build."""

from __future__ import annotations

import hashlib

from .config import DoorConfig
from .frontend import OWN
from .pods import Permit
from .request import BuildRequest
from .workplace import Workplace


def build_command(
    config: DoorConfig,
    permit: Permit,
    request: BuildRequest,
    place: Workplace,
    mark: str,
    *,
    unpack: bool = False,
) -> list[str]:
    """Return buildctl's arguments. The caller chooses Dockerfile, build args and labels, and nothing else.

    Each value is the rest of one argument of its own: buildctl splits `--opt` and `--local` at the first
    `=` only. `--output` is a comma-separated list, which is why a tag's letters are checked (pods.py).
    `mark` is in the environment of its steps.
    One manifest without attestations, because BinderHub's registry check asks for an OCI image manifest.
    The image is launched from what was built (launching.py); `unpack` has BuildKit write all of it a second time for that.
    Base layers stay as they are; only new ones are compressed, at zstd's quickest level.
    """
    # By the tag, which names repository and commit: GitHub shows a fork's commit under its parent's address, too.
    namespace = hashlib.sha256(permit.tag.encode()).hexdigest()[:32]
    options = [f"filename={request.dockerfile}"]
    options += [f"build-arg:{one}" for one in _proxy(config.step_proxy, mark)]
    options += [f"build-arg:{name}={value}" for name, value in request.buildargs]
    options += [f"label:{name}={value}" for name, value in request.labels]
    options += [
        f"platform={config.platform}",
        "image-resolve-mode=local",
        f"build-arg:BUILDKIT_CACHE_MOUNT_NS={namespace}",  # cache mounts are shared by the whole daemon otherwise
    ]
    output = (
        f"type=image,name={permit.tag},unpack={str(unpack).lower()},push=false,oci-mediatypes=true,"
        "compression=zstd,compression-level=1"
    )
    command = [config.buildctl, "--addr", config.buildkit_address, "build", "--progress=plain"]
    command += [
        "--frontend=dockerfile.v0",
        OWN,
        f"--local=context={place.context}",
        f"--local=dockerfile={place.context}",
    ]
    command += [f"--opt={option}" for option in options]
    return [*command, f"--output={output}", f"--metadata-file={place.metadata}", f"--trace={place.trace}"]


def _proxy(told: tuple[str, ...], mark: str) -> list[str]:
    """What steps are told of the site's proxy, and whose they are (steps.py); no part of what BuildKit caches by."""
    values = dict(one.split("=", 1) for one in told)
    values["no_proxy"] = ",".join(filter(None, (values.get("no_proxy"), mark)))
    return [f"{name}={value}" for name, value in sorted(values.items())]
