"""The builds' weight against that of pods, as kernels of both kinds say it."""

from __future__ import annotations

import pytest

from binderbox.checks.core import run_checks
from binderbox.parts.builder import units
from binderbox.parts.builder.checks import CHECKS
from binderbox.parts.builder.weights import Weights, as_promised, cpu_weight, read
from binderbox.world.host.numbers import parse_numbers
from tests.checks.fakes import FakeProbe

V2 = "/sys/fs/cgroup/kubepods.slice/cpu.weight:1875\n/sys/fs/cgroup/binderbox.slice/cpu.weight:938\n"
V1 = (
    "/sys/fs/cgroup/cpu,cpuacct/kubepods/cpu.shares:2048\n/sys/fs/cgroup/cpu,cpuacct/binderbox.slice/cpu.shares:1024\n"
    "/sys/fs/cgroup/cpu,cpuacct/kubepods/cpu.idle:x\n"
)


@pytest.mark.parametrize(
    ("told", "found", "weight"),
    [
        (V2, Weights(1875, 938, "cpu.weight"), 938),
        (V1, Weights(2048, 1024, "cpu.shares"), 100),
        ("/sys/fs/cgroup/kubepods/cpu.weight:79\n", Weights(79, None, "cpu.weight"), 40),
        ("/sys/fs/cgroup/cpu/kubepods/cpu.shares:2\n", Weights(2, None, "cpu.shares"), 1),
        ("/sys/fs/cgroup/kubepods.slice/cpu.weight:10000\n", Weights(10000, None, "cpu.weight"), 5000),
        ("/sys/fs/cgroup/cpu/kubepods/cpu.shares:262144\n", Weights(262144, None, "cpu.shares"), 10000),
        ("", Weights(None, None, ""), None),
    ],
)
def test_builds_weigh_half_of_what_the_kubelet_gave_its_pods(
    told: str, found: Weights, weight: int | None
) -> None:
    assert read(parse_numbers(told)) == found
    assert cpu_weight(found) == weight
    assert f"\nCPUWeight={weight or units.FIRST_WEIGHT}\n" in units.render_our_slice(weight)


@pytest.mark.parametrize(
    ("found", "well"),
    [
        (Weights(1875, 938, "cpu.weight"), True),
        (Weights(79, 40, "cpu.weight"), True),
        (Weights(1875, 100, "cpu.weight"), False),  # systemd's own
        (Weights(79, 100, "cpu.weight"), False),
        (Weights(79, None, "cpu.weight"), False),
    ],
)
def test_it_is_compared_with_the_kernels(found: Weights, well: bool) -> None:
    assert as_promised(found) == well


@pytest.mark.parametrize(
    ("told", "verdict", "measured"),
    [
        (V2, "pass", "cpu.weight 938, of pods 1875"),
        (V2.replace("938", "100"), "fail", "cpu.weight 100, of pods 1875"),
        ("", "skip", ""),
    ],
)
def test_a_check_says_so(told: str, verdict: str, measured: str) -> None:
    checks = [one for one in CHECKS if one.id == "BBX-B11"]
    (one,) = run_checks(checks, FakeProbe(held=parse_numbers(told)))
    assert one.verdict == verdict
    assert measured in one.measured
