"""That cryptnono watches and kills, that the node's bans are in force, and that no part of the host was killed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from binderbox import layout
from binderbox.checks.core import Check, Verdict, failed, passed, skipped
from binderbox.checks.probe import Probe, Skip
from binderbox.parts.guard import bans, seen, values

Guarded = Mapping[str, Any]
LOGS = f"k3s kubectl logs -n {layout.NAMESPACE} -l app.kubernetes.io/name=cryptnono --all-containers --prefix on the host"
DOUBLE = "this build of cryptnono is a double, which attaches to no kernel and kills nobody"


def look_guarded(probe: Probe) -> Guarded:
    found = probe.guarded()
    if found is None:
        runs = values.watches(probe.artifacts, probe.facts.container)
        raise Skip("the guard has not looked yet" if runs else "cryptnono does not run in a container")
    return found


def judge_attached(found: Guarded) -> Verdict:
    faults = seen.not_attached(found)
    if not faults and (begun := seen.starting(found)):
        return skipped(f"being started: {', '.join(begun)}")
    if not faults:
        return passed(f"{', '.join(sorted(found['detectors']))} on {found['kernel']}")
    fix = LOGS
    if not found["headers"]:
        fix = f"apt-get install linux-headers-{found['kernel']} on the host, or boot a kernel whose headers can be had; journalctl -u {layout.HEADERS_INSTALL_UNIT} says why they cannot"
    return failed("; ".join(faults), "every detector attached; until then nobody ends miners", fix)


def judge_killing(found: Guarded) -> Verdict:
    if not found["attaches"]:
        return skipped(DOUBLE)
    if not seen.tried(found):
        return skipped("no canary was started yet, which comes once all detectors are attached")
    if faults := seen.not_killing(found):
        return failed("; ".join(faults), f"each dead within {seen.KILLED_WITHIN_S:g} s", LOGS)
    return passed(
        ", ".join(
            f"{name}'s canary after {one['killed_s']:g} s"
            for name, one in sorted(found["detectors"].items())
            if "killed_s" in one
        )
    )


def judge_bans(found: Guarded) -> Verdict:
    said = found["bans"]
    if said["faults"]:
        fix = f"mend these lines, and hand the file in again: binderbox secrets set HOST {said['faults'][0].partition(':')[0]} < FILE"
        return failed(
            "; ".join(said["faults"][:5]), "lines that cryptnono can use; the set before is in force", fix
        )
    if not any(said[key] for key in ("strings", "allowed", "addresses")):
        return passed(
            f"none given; the federation's operators share theirs: binderbox secrets set HOST {bans.STRINGS}"
        )
    return passed(
        f"{said['strings']} strings, {said['allowed']} commands that are spared, {said['addresses']} addresses"
    )


def judge_host(found: Guarded) -> Verdict:
    ours = [one for one in found["kills"] if one["host"]]
    if not ours:
        return passed("none")
    said = "; ".join(f"{one['at']}: {one['command']} ({one['why']})" for one in ours[-3:])
    fix = f"see that it runs again; where a ban was wrong, take it out: binderbox secrets set HOST {bans.STRINGS} < FILE"
    return failed(said, "processes of pods and builds alone", fix)


CHECKS = (
    Check("BBX-G03", "guard", "cryptnono's detectors are attached", look_guarded, judge_attached,
          "They compile against the headers of the running kernel at each start, and say in their log when they watch."),
    Check("BBX-G04", "guard", "cryptnono kills what it must", look_guarded, judge_killing,
          "Every ten minutes the node starts a process with a banned word, and one that asks for a banned address."),
    Check("BBX-G05", "guard", "the node's bans are in force", look_guarded, judge_bans,
          "Files of lines in /etc/binderbox/secrets; a set with a bad line is refused whole, and the one before stays."),
    Check("BBX-G06", "guard", "cryptnono killed no process of the host itself", look_guarded, judge_host,
          "It looks at every process of the machine. One that is in no pod and no build may be a part of the member."),
)  # fmt: skip
