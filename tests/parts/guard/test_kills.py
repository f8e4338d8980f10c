"""What a detector's log says, in the form of the real programs at cryptnono ff81fd9."""

from __future__ import annotations

import json

import pytest

from binderbox.parts.guard.bans import CANARY, CANARY_ADDRESS
from binderbox.parts.guard.kills import Kill, read

LABELS = {"io.kubernetes.pod.name": "jupyter-a", "io.kubernetes.pod.namespace": "binderhub"}
KILLED = {
    "action": "killed",
    "event": "Killed process",
    "level": "info",
    "timestamp": "2026-11-29T10:00:00.1Z",
}
LOST = {"action": "container-lookup-failed", "event": "Could not find", "level": "info"}
STEP = "0::/binderbox.slice/binderbox-builds.slice/bbx-containerd-abc123.scope"


def lines(*said: dict[str, object]) -> list[str]:
    return [f"{json.dumps(one)}\r" for one in said]


def test_execwhacker_names_the_pod_in_its_own_line() -> None:
    said = {
        **KILLED,
        "pid": 7,
        "cmdline": "/tmp/xmrig -o pool",
        "matched": "xmrig",
        "labels": LABELS,
        "container_type": "cri",
    }
    (kill,) = read("execwhacker", lines({"event": "Watching"}, said))
    assert kill == Kill(
        "execwhacker", KILLED["timestamp"], 7, "a banned word", "/tmp/xmrig -o pool", "binderhub/jupyter-a"
    )
    assert not kill.of_the_host


def test_flowkiller_names_it_in_a_container_of_its_own() -> None:
    asked = {f"198.51.100.{n}:443": 1 for n in range(25)}
    said = {
        **KILLED,
        "pid": 8,
        "cmdline": ["curl", "-s"],
        "addresses": asked,
        "container": {"labels": LABELS},
    }
    (kill,) = read("flowkiller", lines(said))
    assert (kill.pod, kill.command) == ("binderhub/jupyter-a", "curl -s")
    assert (
        kill.why
        == "25 addresses within a minute, 198.51.100.0:443, 198.51.100.1:443, 198.51.100.2:443 among them"
    )


@pytest.mark.parametrize("detector", ["execwhacker", "flowkiller"])
def test_a_step_of_a_build_is_known_by_its_scope_and_the_next_one_is_not_it(detector: str) -> None:
    lost = {**LOST, "cgroupline": STEP} | ({"pid": 9} if detector == "execwhacker" else {})
    step, other = read(detector, lines(lost, {**KILLED, "pid": 9}, {**KILLED, "pid": 10}))
    assert (step.step, step.of_the_host) == ("bbx-containerd-abc123.scope", False)
    assert other.of_the_host


def test_who_is_in_no_pod_and_no_build_is_the_hosts() -> None:
    lost = {**LOST, "cgroupline": "0::/system.slice/cron.service"}
    (kill,) = read(
        "flowkiller", lines(lost, {**KILLED, "pid": 11, "cmdline": ["backup"], "banned-ip": "203.0.113.9"})
    )
    assert kill.of_the_host
    assert kill.why == "banned address 203.0.113.9"


def test_our_own_canaries_are_known() -> None:
    word = {**KILLED, "pid": 1, "cmdline": f"python3 -c x {CANARY}", "matched": CANARY}
    address = {**KILLED, "pid": 2, "cmdline": ["python3"], "banned-ip": CANARY_ADDRESS}
    assert [
        kill.by_canary for kill in (*read("execwhacker", lines(word)), *read("flowkiller", lines(address)))
    ] == [True, True]


def test_bpftraces_text() -> None:
    said = "[2026-11-29T10:00:00+0000] killed pid:77 fpcr:1 cmd:/tmp/rx --threads 2"
    (kill,) = read("monero", ["Attaching 1 probe...", said])
    assert (kill.pid, kill.command, kill.of_the_host) == (77, "/tmp/rx --threads 2", False), (
        "it does not say whose"
    )


@pytest.mark.parametrize(
    "line", ["", "null", "[]", "{", '{"action": "killed"}', '{"action": "killed", "pid": "7"}', "x" * 9000]
)
def test_lines_of_another_form_say_nothing(line: str) -> None:
    assert list(read("execwhacker", [line])) == []
