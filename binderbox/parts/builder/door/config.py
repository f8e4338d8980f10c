"""What the door is told by its config file, a JSON object with exactly these keys."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import get_type_hints


class ConfigFault(Exception):
    """The config file is not one the door can work with."""


@dataclass(frozen=True)
class DoorConfig:
    """Limits, addresses and paths.

    + image_prefix: every tag that is built starts with it, REGISTRY/i- for example
    + reserved_images: image names that are never built, whatever the prefix says
    + platform: the node's, for example linux/amd64; no other is built
    + step_proxy: NAME=VALUE of the site's proxy, for build steps
    + build_slots: builds at the same time; others wait in the order in which they came
    + free_floor_mb: below it builds are ended; up to free_ceiling_mb where the disk fills quickly, so that the kubelet's
      eviction_mb is not reached before it looks
    + images_free_mb: below it images that wait for their push may be deleted
    + pins_mb, pins: what may wait, by the compressed size of its layers and by number
    + tasks_dir, containerd_root: containerd's bundles of the namespace in which builds run, and its directory
    + buildkit_records: BuildKit's database of what it has built
    + slice_dirs: where the builds' slice is in the cgroups' file system; those of them that are there count
    + memory_dirs: the same where memory is counted
    + freezer_dir: where cgroup v1 would freeze it
    + idle_s: a pod that neither sends nor reads for so long is given up
    + push_attempts_s: how long a push is tried again, before the image loses its protection
    + api_*, namespace: where build pods are looked up, with a token that can read pods of that namespace
    + docker_login_file: user:token of an account at docker.io, if there is such a file
    + push_lock: what holds pushes back while somebody takes things out of the registry
    + registry_url: where images are pushed, e.g. http://10.43.0.50:5000 for names of `registry`
    """

    socket: str
    state_dir: str
    status_file: str
    image_prefix: str
    reserved_images: tuple[str, ...]
    platform: str
    step_proxy: tuple[str, ...]
    build_slots: int
    push_slots: int
    max_connections: int
    max_context_mb: int
    max_context_files: int
    max_build_s: int
    build_memory_mb: int
    build_step_memory_mb: int
    free_floor_mb: int
    free_ceiling_mb: int
    images_free_mb: int
    eviction_mb: int
    pins_mb: int
    pins: int
    audit_file: str
    tasks_dir: str
    slice_dirs: tuple[str, ...]
    memory_dirs: tuple[str, ...]
    freezer_dir: str
    containerd_root: str
    idle_s: int
    push_attempts_s: int
    buildctl: str
    buildkit_address: str
    buildkit_records: str
    buildkit_unit: str
    ctr: tuple[str, ...]
    containerd_socket: str
    containerd_namespace: str
    api_server: str
    api_ca_file: str
    api_token_file: str
    namespace: str
    registry: str
    registry_url: str
    push_lock: str
    registry_user_file: str
    registry_password_file: str
    docker_login_file: str


def parse_config(text: str) -> DoorConfig:
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise ConfigFault(f"not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise ConfigFault("expected a JSON object")
    hints = get_type_hints(DoorConfig)
    names = {field.name for field in fields(DoorConfig)}
    faults = [f"{name}: missing" for name in sorted(names - raw.keys())]
    faults += [f"{name}: unknown" for name in sorted(raw.keys() - names)]
    values: dict[str, object] = {}
    for name in sorted(names & raw.keys()):
        value, wanted = raw[name], hints[name]
        if wanted in (str, int):
            if type(value) is not wanted:
                faults.append(f"{name}: expected {wanted.__name__}, found {value!r}")
            elif wanted is int and value < 1:
                faults.append(f"{name}: expected at least 1, found {value}")
            values[name] = value
        elif not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            faults.append(f"{name}: expected a list of strings, found {value!r}")
        else:
            values[name] = tuple(value)
    if faults:
        raise ConfigFault("; ".join(faults))
    return DoorConfig(**values)  # type: ignore[arg-type]
