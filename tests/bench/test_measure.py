"""The arithmetic of the benchmarks; what they measure is not asserted anywhere."""

import json
from pathlib import Path

from tests.bench import memory
from tests.bench.installing import judge
from tests.bench.measure import Measure, Pair, median_ratio, record, take_pairs


def test_the_two_ways_run_by_turns_and_warm_up_pairs_do_not_count() -> None:
    order: list[str] = []

    def way(name: str, seconds: list[float]) -> float:
        order.append(name)
        return seconds.pop(0)

    ours, other = [9.0, 1.0, 2.0], [1.0, 4.0, 4.0]
    pairs = take_pairs(lambda: way("ours", ours), lambda: way("other", other), 2)
    assert order == ["ours", "other"] * 3
    assert pairs == [Pair(1.0, 4.0), Pair(2.0, 4.0)]


def test_one_slow_moment_of_the_machine_does_not_move_the_ratio() -> None:
    assert median_ratio([Pair(1, 4), Pair(50, 4), Pair(1, 4)]) == 0.25


def test_a_missed_goal_is_said_in_the_line_and_in_the_record(tmp_path: Path) -> None:
    missed = Measure("x", "a / b", 0.6, 0.5, {"a_s": 1.23456, "by part": {"built": 2.0}})
    assert missed.render() == "x            0.600  goal <= 0.5, MISSED | a / b | a_s 1.23, by part (built 2)"
    for measure in (missed, Measure("y", "no goal", 3, None)):
        record(measure, tmp_path / "build" / "bench.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "build" / "bench.jsonl").read_text().splitlines()]
    assert [(line["name"], line["met"]) for line in lines] == [("x", False), ("y", None)]
    assert lines[0]["raw"]["a_s"] == 1.23456
    assert lines[0]["machine"]["cpus"] >= 1


def test_an_install_counts_up_to_its_first_launch_and_not_to_the_end_of_the_proof() -> None:
    phases = [("Check", 1.0), ("Start k3s", 19.0), ("Prove it", 30.0)]
    result = {
        "phases": [{"title": title, "seconds": seconds} for title, seconds in phases],
        "launches": [{"seconds": {"building": 2.0, "ready": 20.0}}, {"seconds": {"ready": 3.0}}],
    }
    measure = judge(result, 55.0, 9.0, 11.0)
    assert measure.ratio == 4.0
    assert measure.raw["multiples"]["Start k3s"] == 1.9
    assert measure.raw["multiples"]["first launch"] == 2.0


def test_memory_is_summed_by_pod_and_by_unit() -> None:
    pod = "9ef0b722-ce46-451d-8241-11f5f2b172cd"
    lines = [
        f"1000 3000 12:memory:/kubepods/burstable/pod{pod}/abc 0::/",
        f"2000 2000 0::/kubepods.slice/kubepods-burstable.slice/kubepods-pod{pod.replace('-', '_')}.slice/cri-abc.scope",
        "500 700 1:name=systemd:/system.slice/k3s.service",
        "9 9 0::/",
    ]
    assert memory.by_group(lines) == {pod: (3.072, 5.12), "k3s.service": (0.512, 0.7168)}
