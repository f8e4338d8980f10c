"""What the proof at the end of an install must have seen; skipped where none was run."""

from __future__ import annotations

from binderbox.checks.core import Check, Verdict, failed, passed
from binderbox.checks.probe import Probe, Skip
from binderbox.launch.names import judge_fetch
from binderbox.launch.reach import judge_reach
from binderbox.output.results import LaunchResult, Proof

AGAIN = "binderbox launch HOST"


def _proof(probe: Probe) -> Proof:
    if probe.launch is None:
        raise Skip("no launch was proved in this run")
    return probe.launch


def look_cold(probe: Probe) -> LaunchResult:
    return _proof(probe).cold


def look_warm(probe: Probe) -> LaunchResult:
    return _proof(probe).warm


def judge_cold(launch: LaunchResult) -> Verdict:
    if launch.built:
        return passed(f"{launch.image} in {_total(launch)}")
    return failed(f"{launch.image} was there already", "a build", AGAIN)


def judge_warm(launch: LaunchResult) -> Verdict:
    if not launch.built:
        return passed(f"{launch.image} in {_total(launch)}")
    return failed(
        "it was built again",
        "the image of the first launch",
        "see whether the registry answers BinderHub: BBX-R02",
    )


def judge_not_pulled(launch: LaunchResult) -> Verdict:
    if not launch.pulled:
        return passed("by the kubelet's own events")
    return failed("the kubelet pulled it", "an image that lies in containerd already", "see BBX-B02")


def look_kernel(probe: Probe) -> tuple[str, ...]:
    return judge_reach(_proof(probe).seen_by_kernel, probe.facts, probe.member.networks)


def look_build(probe: Probe) -> tuple[str, ...]:
    return judge_reach(_proof(probe).seen_by_build, probe.facts, probe.member.networks, by_build=True)


def judge_seen(faults: tuple[str, ...]) -> Verdict:
    if not faults:
        return passed("what must be out of reach is, and refuses at once; what must work works")
    return failed(
        "; ".join(faults), "public addresses only, and few of them", "binderbox abuse check HOST; see BBX-P02"
    )


def look_fetch(probe: Probe) -> tuple[str, str]:
    proof = _proof(probe)
    return proof.unseen, proof.said_to_fetch


def _total(launch: LaunchResult) -> str:
    return f"{dict(launch.seconds).get('total', 0):.1f} s"


CHECKS = (
    Check("BBX-L01", "launch", "a new repository was built and launched", look_cold, judge_cold,
          "One with a random file in it, so that no cache could have it."),
    Check("BBX-L02", "launch", "the second launch built nothing", look_warm, judge_warm,
          "BinderHub asks the registry before each launch."),
    Check("BBX-L03", "launch", "the image was never pulled", look_cold, judge_not_pulled,
          "It was built where it runs."),
    Check("BBX-L04", "launch", "a notebook reaches public addresses only", look_kernel, judge_seen,
          "Tried from the kernel of the launched notebook."),
    Check("BBX-L05", "launch", "a build step reaches public addresses only", look_build, judge_seen,
          "Tried from a step of the build."),
    Check("BBX-L06", "launch", "builds can ask for names", look_fetch, lambda found: judge_fetch(*found),
          "A build FROM a name that nobody asked for before. From a bundle, or offline, one of the member's own zone."),
)  # fmt: skip
