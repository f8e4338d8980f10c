"""RAM and CPUs to pods, quota and builds: the table an operator would check by hand, and what must hold everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binderbox.decide.sizing import (
    K3S_AND_DAEMONS_GB,
    MAX_PODS,
    SYSTEM_POD_MEMORY_GB,
    SYSTEM_PODS,
    Sizing,
    make_sizing,
)
from binderbox.member.model import Member


@dataclass(frozen=True)
class Box:
    """A machine."""

    ram_gb: float
    cpus: int


def size(ram_gb: float, cpus: int, **config: Any) -> Sizing:
    return make_sizing(Member(domain="b.example.org", **config), Box(ram_gb, cpus))


@pytest.mark.parametrize(
    ("ram", "cpus", "pods", "quota", "slots", "build", "step"),
    [
        (4.1, 2, 16, 2, 1, 0.6, 0.6),  # the smallest VM: one build, two users
        (8.3, 2, 23, 7, 1, 2.0, 2.0),
        (16.4, 4, 34, 14, 2, 4.1, 3.1),
        (25.2, 2, 47, 31, 1, 6.3, 6.3),  # one of two CPUs is for servers that start
        (33.0, 4, 66, 42, 3, 8.2, 6.0),
        (
            64.0,
            16,
            136,
            91,
            8,
            16.0,
            6.0,
        ),  # 1.75 x 64, and 24 builds that wait; upstream gives all builds 16 Gi at this size
        (92.0, 24, 185, 141, 8, 16.0, 6.0),
        (192.0, 48, 360, 316, 8, 16.0, 6.0),  # upstream's quota there: 300
        (800.0, 64, 990, 946, 8, 16.0, 6.0),  # the addresses of a /22 end first
    ],
)
def test_sizes_of_machines_people_have(
    ram: float, cpus: int, pods: int, quota: int, slots: int, build: float, step: float
) -> None:
    sizing = size(ram, cpus)
    found = (
        sizing.pods,
        sizing.quota,
        sizing.build_slots,
        sizing.build_memory_gb,
        sizing.build_step_memory_gb,
    )
    assert tuple(value.value for value in found) == (pods, quota, slots, build, step)
    assert sizing.faults == ()


def test_users_get_what_they_get_everywhere_in_the_federation() -> None:
    sizing = size(64, 16)
    assert (sizing.user_memory_guarantee_mb.value, sizing.user_memory_limit_gb.value) == (450, 2.0)
    assert sizing.user_cpu_limit.value == 1.0


def test_a_small_limit_is_never_below_the_guarantee() -> None:
    assert size(64, 16, user_memory_gb=0.3).user_memory_guarantee_mb.value == 300


def test_builds_are_reserved_because_kubernetes_does_not_count_them() -> None:
    assert size(64, 16).system_reserved_gb.value == pytest.approx(16 + K3S_AND_DAEMONS_GB, abs=0.06)


def test_a_quota_that_gets_no_users_says_so() -> None:
    assert "11 is the least" in size(4.1, 2).quota.reason
    assert "11 is the least" not in size(25.2, 2).quota.reason


def test_the_config_wins_and_the_reason_keeps_what_was_computed() -> None:
    sizing = size(64, 16, quota=20, build_slots=3, build_memory_gb=9, build_step_memory_gb=4, pods=60)
    assert (sizing.quota.value, sizing.quota.origin) == (20, "config")
    assert "computed would be 36" in sizing.quota.reason  # 60 pods less 12 of the system and 12 of builds
    assert sizing.build_step_memory_gb.value == 4
    assert sizing.pods.origin == "config"
    assert sizing.build_pod_memory_mb.origin == "computed"
    assert sizing.faults == ()


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"build_memory_gb": 30}, "build_memory_gb"),
        ({"build_step_memory_gb": 20}, "build_step_memory_gb"),
        ({"quota": 100}, "quota"),
        ({"pods": 20, "quota": 19}, "quota"),
    ],
)
def test_what_the_machine_cannot_hold_is_a_fault_with_a_fix(config: dict[str, Any], key: str) -> None:
    (fault,) = size(25.2, 2, **config).faults
    assert fault.key == key
    assert fault.fix


def test_too_little_ram_is_a_fault() -> None:
    (fault,) = size(2.0, 1).faults
    assert (fault.key, fault.found, fault.needed) == ("ram", "2.0 GB", "3.8 GB")


def test_every_figure_has_a_reason_and_a_key_of_its_own() -> None:
    values = size(25.2, 2).values
    assert len({value.key for value in values}) == len(values) == 15
    assert all(value.reason for value in values)


@given(ram=st.floats(3.8, 2000), cpus=st.integers(1, 256))
def test_nothing_is_handed_out_twice(ram: float, cpus: int) -> None:
    sizing = size(ram, cpus)
    assert sizing.faults == ()
    assert SYSTEM_PODS + sizing.build_pods.value + sizing.quota.value <= sizing.pods.value <= MAX_PODS
    assert 1 <= sizing.build_slots.value <= cpus
    assert sizing.build_slots.value <= sizing.build_pods.value <= 32
    assert 0 < sizing.build_step_memory_gb.value <= sizing.build_memory_gb.value
    guaranteed = sizing.quota.value * sizing.user_memory_guarantee_mb.value / 1000
    assert guaranteed + sizing.system_reserved_gb.value + SYSTEM_POD_MEMORY_GB <= ram + 0.1


@given(ram=st.floats(3.8, 1000), more=st.floats(0, 1000), cpus=st.integers(1, 64))
def test_more_ram_is_never_fewer_users(ram: float, more: float, cpus: int) -> None:
    small, large = size(ram, cpus), size(ram + more, cpus)
    assert large.build_memory_gb.value >= small.build_memory_gb.value
    assert large.pods.value >= small.pods.value
    # Another build slot may take a pod, or the memory of its builds that of a user.
    assert large.quota.value >= small.quota.value - 8


@pytest.mark.parametrize(("cpus", "answer"), [(1, 120), (2, 120), (4, 120), (8, 60)])
def test_a_slow_start_is_waited_for_on_few_cpus_and_binderhub_waits_longer_than_the_hub(
    cpus: int, answer: int
) -> None:
    sizing = size(25.2, cpus)
    assert sizing.server_answer_s.value == answer
    assert sizing.server_start_s.value <= 120  # a server that ends at once is waited for as long, four times
    both = sizing.server_start_s.value + sizing.server_answer_s.value
    assert both < sizing.launch_timeout_s.value < 600


@pytest.mark.parametrize(("ram", "cpus"), [(4.1, 2), (92.0, 24), (800.0, 64)])
def test_the_hub_never_refuses_what_the_quota_lets_in(ram: float, cpus: int) -> None:
    sizing = size(ram, cpus)
    assert sizing.spawn_limit.value >= max(64, sizing.quota.value)
