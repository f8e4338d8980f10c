"""cryptnono on a node of the rig: its double renders, restarts and writes a log as the real one does, and kills nobody."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from binderbox import layout
from tests.conftest import Installed
from tests.e2e.federated import kubectl
from tests.rig.host import RigHost
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]
SERVICE = "binderbox-guard.service"
WITHIN_S = 120
TREE = "/tmp/cryptnono/linux-headers/modules_dir"


@pytest.fixture
def guarded(installed_host: Installed) -> Iterator[Installed]:
    """Once its detectors say that they watch; and as it was, after it."""
    wait_until(lambda: watches(installed_host.host), WITHIN_S, "the detectors")
    yield installed_host
    host = installed_host.host
    host.exec(
        ["sh", "-c", f"systemctl stop {SERVICE}; rm -f {layout.SECRETS}/banned-* {layout.SECRETS}/allowed-*"]
    )
    state = json.loads(host.exec(["cat", layout.GUARD_STATE]))
    kept = [one for one in state["kills"] if "zzz" not in one["command"]]
    text = json.dumps({**state, "kills": kept}).encode()
    host.exec(["sh", "-c", f"cat > {layout.GUARD_STATE}"], stdin=text)
    wait_until(lambda: watches(host), WITHIN_S, "the detectors, with no bans")


def look(host: RigHost) -> dict[str, Any]:
    """What the node's own job finds now."""
    host.exec(
        ["sh", "-c", f"systemctl reset-failed {SERVICE}; systemctl start {SERVICE} || true"], timeout_s=300
    )
    found: dict[str, Any] = json.loads(host.exec(["cat", layout.GUARD_STATE]))
    return found


def watches(host: RigHost) -> bool:
    found = look(host)
    return not found["faults"] and all(one["attached"] for one in found["detectors"].values())


def pod(host: RigHost) -> dict[str, Any]:
    found = kubectl(host, "get", "pods", "-n", layout.NAMESPACE, "-l", "app.kubernetes.io/name=cryptnono")[
        "items"
    ]
    running = [one for one in found if not one["metadata"].get("deletionTimestamp")]
    return running[0] if running else {}


def check(of: Installed, id: str) -> dict[str, Any]:
    checks = of.client.binderbox(of.host, "check", "--json").result["checks"]
    (found,) = [one for one in checks if one["id"] == id]
    return dict(found)


def give(of: Installed, name: str, text: str, code: int = 0) -> str:
    """The operator's way."""
    file = of.client.home / name
    file.write_text(text)
    done = of.client.binderbox(of.host, "secrets set", name, "--file", str(file), "--json").must(code)
    return done.stdout


def says(host: RigHost, port: int, **line: object) -> None:
    """Have a detector's double say what the real one would."""
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    text = json.dumps({"level": "info", "timestamp": at, **line})
    host.exec(["curl", "-sS", "--fail", "-d", text, f"http://{pod(host)['status']['podIP']}:{port}/"])


def test_its_detectors_run_and_their_log_and_metrics_are_read(guarded: Installed) -> None:
    found = look(guarded.host)
    assert found["headers"] is True
    assert set(found["detectors"]) == {"execwhacker", "flowkiller", "monero"}
    assert found["detectors"]["execwhacker"]["looked_at"] == 1.0
    assert check(guarded, "BBX-G03")["verdict"] == "pass"
    kills = check(guarded, "BBX-G04")
    assert (kills["verdict"], "double" in kills["measured"]) == ("skip", True), (
        "no result calls its kill a kill"
    )
    status = guarded.client.binderbox(guarded.host, "status", "--json").result
    (part,) = [one for one in status["parts"] if one["name"] == "cryptnono"]
    assert part["ok"]


def test_bans_are_put_in_force_by_a_new_pod_and_a_bad_line_leaves_them(guarded: Installed) -> None:
    host = guarded.host
    before = pod(host)["metadata"]["name"]
    give(guarded, "banned-strings", "# from the team\nzzz-miner-zzz\n")
    give(guarded, "banned-addresses", "203.0.113.7\n", code=2)  # RFC 5737's are nobody's
    give(guarded, "banned-addresses", "192.88.98.7\n")
    assert check(guarded, "BBX-G05")["measured"].startswith("none given"), "until the guard looks"
    look(host)
    wait_until(lambda: pod(host).get("metadata", {}).get("name", before) != before, WITHIN_S, "a new pod")
    wait_until(lambda: watches(host), WITHIN_S, "its detectors")
    name = pod(host)["metadata"]["name"]
    inside = ("exec", "-n", layout.NAMESPACE, name, "-c", "execwhacker", "--", "sh", "-c", "cat /config/*")
    assert "zzz-miner-zzz" in host.exec([layout.K3S, "kubectl", *inside])
    inside = ("exec", "-n", layout.NAMESPACE, name, "-c", "flowkiller", "--", "sh", "-c", "cat /ban-config/*")
    assert "192.88.98.7" in host.exec([layout.K3S, "kubectl", *inside])
    assert check(guarded, "BBX-G05")["measured"].startswith(
        "1 strings, 0 commands that are spared, 1 addresses"
    )

    # a line that only the node can know to be harmful: it is what a process of the host was started with
    host.exec(["sh", "-c", "systemd-run -q --collect --unit=own-daemon sh -c 'sleep 900' zzz-own-daemon"])
    give(guarded, "banned-strings", "zzz-miner-zzz\nzzz-own-daemon\n")
    look(host)
    refused = check(guarded, "BBX-G05")
    assert refused["verdict"] == "fail"
    assert "banned-strings:2: would kill a process of the node's own" in refused["measured"]
    assert pod(host)["metadata"]["name"] == name, "the set before stays in force"
    host.exec(["systemctl", "stop", "own-daemon"])
    assert "alert" in host.exec(["tail", "-n", "3", layout.AUDIT_FILE])


@pytest.mark.parametrize("line", ["python", "containerd", "node", "", "((", "zzz\x01zzz"])
def test_lines_that_are_bad_anywhere_are_refused_at_once(guarded: Installed, line: str) -> None:
    name = "allowed-commands" if line == "((" else "banned-strings"
    if not line:
        assert "banned" in give(guarded, name, "\n\n"), "empty lines say nothing"
        return
    said = give(guarded, name, f"good-one\n{line}\n", code=2)
    assert f"{name}:2: " in said


def test_a_kill_is_told_with_whose_it_was_and_one_of_the_host_is_an_alarm(guarded: Installed) -> None:
    host = guarded.host
    labels = {"io.kubernetes.pod.name": "jupyter-zzz", "io.kubernetes.pod.namespace": layout.HUB_NAMESPACE}
    killed = {"action": "killed", "event": "Killed process", "source": "execwhacker.bpf"}
    says(host, 12121, pid=4242, cmdline="xmrig zzz", matched="zzz", labels=labels, **killed)
    says(
        host,
        12122,
        event="Could not find container",
        action="container-lookup-failed",
        cgroupline=f"0::/binderbox.slice/{layout.BUILDS_SLICE}/bbx-containerd-0zzz.scope",
    )
    says(
        host,
        12122,
        pid=4243,
        cmdline=["curl", "zzz"],
        addresses={f"192.88.98.{n}:443": 1 for n in range(25)},
        **killed,
    )
    wait_until(
        lambda: len([one for one in look(host)["kills"] if "zzz" in one["command"]]) == 2, WITHIN_S, "both"
    )
    assert check(guarded, "BBX-G06")["verdict"] == "pass"
    told = host.exec(["journalctl", "-u", SERVICE, "-o", "cat", "--no-pager", "-n", "50"])
    assert f"whose={layout.HUB_NAMESPACE}/jupyter-zzz" in told
    assert "whose=bbx-containerd-0zzz.scope" in told
    assert "25 addresses within a minute" in told

    says(host, 12121, pid=4244, cmdline="/usr/bin/backup zzz", matched="zzz", **killed)
    wait_until(lambda: any(one["host"] for one in look(host)["kills"]), WITHIN_S, "the alarm")
    alarm = check(guarded, "BBX-G06")
    assert (alarm["verdict"], "/usr/bin/backup zzz" in alarm["measured"]) == ("fail", True)
    assert "the host itself" in host.exec(["tail", "-n", "5", layout.AUDIT_FILE])


def test_without_headers_the_detectors_are_off_and_said_so(guarded: Installed) -> None:
    host, kernel = guarded.host, os.uname().release
    host.exec(["mv", f"/lib/modules/{kernel}/build", "/root/build"])
    try:
        host.exec(["systemctl", "restart", layout.HEADERS_UNIT])
        assert kernel not in host.exec(["sh", "-c", f"ls {TREE}/{kernel}"])
        host.exec(
            [layout.K3S, "kubectl", "delete", "pod", "-n", layout.NAMESPACE, pod(host)["metadata"]["name"]]
        )
        wait_until(lambda: look(host)["faults"], WITHIN_S, "why")
        off = check(guarded, "BBX-G03")
        assert off["verdict"] == "fail"
        assert f"the headers of kernel {kernel} are not installed" in off["measured"]
        assert f"apt-get install linux-headers-{kernel}" in off["fix"]
    finally:
        host.exec(["mv", "/root/build", f"/lib/modules/{kernel}/build"])
        host.exec(["systemctl", "restart", layout.HEADERS_UNIT])
        host.exec(
            [
                layout.K3S,
                "kubectl",
                "delete",
                "pod",
                "-n",
                layout.NAMESPACE,
                "-l",
                "app.kubernetes.io/name=cryptnono",
            ]
        )
    wait_until(lambda: watches(host), WITHIN_S, "the detectors are back")
