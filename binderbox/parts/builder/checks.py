"""BuildKit on the host, the slice that holds all builds, and the door between build pods and both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from binderbox import layout
from binderbox.checks.core import Check, Verdict, failed, passed, warned
from binderbox.checks.probe import FileInfo, Probe, Skip
from binderbox.checks.workloads import (
    AGAIN,
    judge_present,
    judge_private,
    judge_unit,
    look_files,
    look_told,
    look_unit,
    planned,
)
from binderbox.parts.binderhub import pod_rules
from binderbox.parts.builder import build_pods, confinement
from binderbox.parts.builder.settings import SCOPE_LIMITS
from binderbox.parts.builder.weights import BUILDS_PATHS, PODS_PATHS, Weights, as_promised, read

LABEL = "org.mobyproject.buildkit.worker"
SOCKET_DIRECTORY = layout.BUILDKIT_SOCKET.rpartition("/")[0]
ROUNDING = 1_000_000  # bytes: systemd rounds to whole pages


def look_workers(probe: Probe) -> tuple[Mapping[str, str], ...]:
    return probe.builder_workers()


def judge_workers(workers: tuple[Mapping[str, str], ...]) -> Verdict:
    told = [
        f"{labels.get(f'{LABEL}.executor', 'unknown')} in {labels.get(f'{LABEL}.containerd.namespace', 'no namespace')}"
        for labels in workers
    ]
    if told == ["containerd in k8s.io"]:
        return passed(told[0])
    needed = "one worker: containerd in k8s.io, or images would have to be pulled"
    return failed(
        ", ".join(told) or "none", needed, f"journalctl -u binderbox-buildkitd on the host; then {AGAIN}"
    )


def look_socket(probe: Probe) -> Mapping[str, FileInfo | None]:
    # buildkitd makes the socket itself with 0660; nobody gets to it past its directory.
    return probe.files([SOCKET_DIRECTORY])


def look_door_socket(probe: Probe) -> Mapping[str, FileInfo | None]:
    return probe.files([layout.DOOR_SOCKET])


def judge_socket_kind(files: Mapping[str, FileInfo | None]) -> Verdict:
    bad = [
        f"{path} is {info.kind if info else 'missing'}"
        for path, info in files.items()
        if not info or info.kind != "socket"
    ]
    if not bad:
        return passed(", ".join(files))
    return failed("; ".join(bad), "a socket", "systemctl restart binderbox-door on the host")


@dataclass(frozen=True)
class Ceiling:
    """The memory ceiling of all builds together, in bytes; None: there is none."""

    running: int | None
    planned: int


def look_ceiling(probe: Probe) -> Ceiling:
    wanted = planned(probe).sizing.build_memory_gb.value
    return Ceiling(probe.unit(layout.BUILDS_SLICE).memory_max, round(wanted * 1e9))


def judge_ceiling(found: Ceiling) -> Verdict:
    told = "none" if found.running is None else f"{found.running / 1e9:.2f} GB"
    if found.running is not None and abs(found.running - found.planned) <= ROUNDING:
        return passed(told)
    return failed(
        told,
        f"{found.planned / 1e9:.2f} GB",
        f"systemctl cat {layout.BUILDS_SLICE} on the host; then {AGAIN}",
    )


def look_weights(probe: Probe) -> Weights:
    return read(probe.numbers((*PODS_PATHS, *BUILDS_PATHS)))


def judge_weights(found: Weights) -> Verdict:
    told = f"{found.unit} {found.builds}, of pods {found.pods}"
    if found.builds is None:
        raise Skip("nothing was built since the node was started")
    if as_promised(found):
        return passed(told)
    return failed(told, "half of the pods'", AGAIN)


def look_profile(probe: Probe) -> str:
    if not probe.facts.apparmor:
        raise Skip("this host has no AppArmor")
    return probe.profiles().get(layout.BUILDS_PROFILE, "not loaded")


def judge_confined(found: str) -> Verdict:
    if found == confinement.LOADED:
        return passed(f"{layout.BUILDS_PROFILE}: {found}")
    return failed(f"{layout.BUILDS_PROFILE}: {found}", confinement.LOADED, AGAIN)


def judge_told(told: tuple[Mapping[str, str], ...]) -> Verdict:
    """An image that is lost costs a build, and says that its push or the disk has a trouble that goes on."""
    if not told:
        return passed("nothing in the last day")
    said = "; ".join(f"{one['what']} ({one['times']}): {one['why']}" for one in told[-3:])
    needed = "room for builds, and a registry that takes their images"
    fix = f"binderbox status HOST; journalctl -u {layout.DOOR_UNIT} on the host says which; a larger disk, or other figures of `disk`"
    lost = any(one["what"] == "image-let-go" for one in told)
    return failed(said, needed, fix) if lost else warned(said, needed, fix)


def look_policies(probe: Probe) -> tuple[str, ...]:
    """Kind and name of each policy of the cluster, and of each binding of one."""
    found = probe.kubectl_json(["get", ",".join(POLICY_KINDS)])["items"]
    return tuple(sorted(f"{one['kind']}/{one['metadata']['name']}" for one in found))


def judge_policies(found: tuple[str, ...]) -> Verdict:
    missing = [one for one in POLICIES if one not in found]
    if not missing:
        return passed(
            "the API server takes CAP_NET_RAW from builds, and no pod that may do more than it should"
        )
    return failed(f"missing: {', '.join(missing)}", "two policies with their bindings", AGAIN)


POLICY_KINDS = tuple(
    f"{how}admissionpolic{end}" for how in ("mutating", "validating") for end in ("ies", "ybindings")
)
POLICIES = tuple(
    f"{how}AdmissionPolicy{end}/{name}"
    for how, name in (("Mutating", build_pods.NAME), ("Validating", pod_rules.NAME))
    for end in ("", "Binding")
)

CHECKS = (
    Check("BBX-B01", "builder", "buildkitd is active", look_unit(layout.BUILDKITD_UNIT), judge_unit,
          "It runs on the host, because it must share containerd's mounts."),
    Check("BBX-B02", "builder", "buildkitd builds in k3s' own containerd", look_workers, judge_workers,
          "So a built image is there without a pull."),
    Check("BBX-B03", "builder", "buildkitd's socket is root's alone", look_socket, judge_private,
          "Whoever talks to it can replace any image on the node."),
    Check("BBX-B04", "builder", "the builds' network is there", look_files(f"/sys/class/net/{layout.BUILD_INTERFACE}"), judge_present,
          "buildkitd makes this bridge when it starts; the firewall knows it by name."),
    Check("BBX-B05", "builder", "all builds together have a memory ceiling", look_ceiling, judge_ceiling,
          "Shortly before it the door ends the build that holds more than its share; pods and daemons do not notice."),
    Check("BBX-B06", "builder", "each build step has a ceiling of its own", look_files(SCOPE_LIMITS), judge_present,
          "systemd applies this file to every step's scope."),
    Check("BBX-B07", "builder", "the build door is active", look_unit(layout.DOOR_UNIT), judge_unit,
          "Build pods reach nothing else of the builder."),
    Check("BBX-B08", "builder", "the build door is open", look_door_socket, judge_socket_kind,
          "Build pods see the socket's directory, read-only."),
    Check("BBX-B09", "builder", "nothing had to be given up to protect the node", look_told(layout.DOOR_STATUS, "the door"), judge_told,
          "Builds that fill the disk are ended, BuildKit is started anew for what it keeps of them, and images that cannot be pushed are let go; told for a day."),
    Check("BBX-B10", "builder", "the API server guards pods of strangers' code", look_policies, judge_policies,
          "With CAP_NET_RAW a build could be the gateway of its neighbours; what the hub makes is held to the same rules."),
    Check("BBX-B11", "builder", "builds have their part of the processors", look_weights, judge_weights,
          "Where all are busy, builds get one third and sessions two; neither is slowed down while the other is idle."),
    Check("BBX-B12", "builder", "build steps are confined by AppArmor", look_profile, judge_confined,
          "Where the host has AppArmor: without the profile no step starts, and in complain mode it stops nothing."),
)  # fmt: skip
