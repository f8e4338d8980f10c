"""The guard's job: what it keeps and tells of what cryptnono's log says, on a node whose kubectl is ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from binderbox import layout
from binderbox.parts.agent.jobs import __main__ as jobs_main
from binderbox.parts.agent.jobs import guard, telling
from binderbox.parts.agent.jobs.config import AgentConfig
from binderbox.parts.agent.jobs.locking import Busy
from binderbox.parts.agent.jobs.running import CommandFailed
from binderbox.parts.helm.release import TRIES
from tests.parts.agent.test_abuse import CONFIG

DOUBLE: AgentConfig = replace(CONFIG, detectors=("execwhacker", "flowkiller"), attaches=False)
WATCHES = json.dumps(
    {"event": "Watching for processes we don't like...", "timestamp": "2026-11-29T10:00:00Z"}
)
KILLED = {
    "action": "killed",
    "event": "Killed process",
    "pid": 7,
    "cmdline": "/usr/sbin/cron",
    "matched": "cron",
}
RUNS = {"restartCount": 0, "containerID": "containerd://1", "state": {"running": {"startedAt": "then"}}}
Node = Callable[..., dict[str, Any]]


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """The state after a look at a pod whose detectors say these lines."""
    for name in ("GUARD_STATE", "BANS_VALUES", "AUDIT_FILE", "HEADERS_SAID", "SECRETS", "CHARTS"):
        monkeypatch.setattr(layout, name, str(tmp_path / name))
    (tmp_path / "SECRETS").mkdir()
    (tmp_path / "CHARTS").mkdir()
    (tmp_path / "CHARTS" / "cryptnono.inputs.json").write_text("{}")
    applied: list[dict[str, Any]] = []
    brought: list[str] = []

    @contextmanager
    def hold(who: str, wait_s: float) -> Iterator[Callable[[str], None]]:
        if (tmp_path / "busy").exists():
            raise Busy("somebody works on the node")
        yield lambda step: None

    monkeypatch.setattr(guard, "hold", hold)
    monkeypatch.setattr(guard.releasing, "installed", lambda name: name)
    monkeypatch.setattr(guard.releasing, "bring", brought.append)
    monkeypatch.setattr(guard, "commands_of_the_host", lambda: iter(["/usr/sbin/own-daemon --now"]))
    monkeypatch.setattr(guard, "addresses_of", lambda names: {"9.9.9.9": "pypi.org"})

    def look(
        *said: dict[str, object], attached: bool = True, status: dict[str, Any] | None = None, **texts: str
    ) -> dict[str, Any]:
        for name, text in texts.items():
            (tmp_path / "SECRETS" / name.replace("_", "-")).write_text(text)
        statuses = [{"name": name, **(status or RUNS)} for name in DOUBLE.detectors]
        pod = {
            "metadata": {"name": "cryptnono-a"},
            "spec": {"containers": []},
            "status": {"containerStatuses": statuses},
        }

        def kubectl(*words: str, timeout_s: float = 0, stdin: str | None = None) -> str:
            assert (words[0], "--server-side" in words) == ("apply", True)
            applied.append(json.loads(stdin or ""))
            return ""

        def ask(path: str, **query: str) -> str:
            if path.endswith("/pods"):
                return json.dumps({"items": [pod]})
            if path.endswith("/configmaps/cryptnono-addresses"):
                if not applied:
                    raise CommandFailed("curl: (22) 404")
                return json.dumps(applied[-1])
            assert path.endswith("/pods/cryptnono-a/log")
            own = query["container"] == "execwhacker"
            return "\n".join([WATCHES] * attached + [f"{json.dumps(one)}\r" for one in said if own])

        monkeypatch.setattr(guard, "kubectl", kubectl)
        monkeypatch.setattr(guard.running, "ask", ask)
        (tmp_path / "HEADERS_SAID").write_text(guard.os.uname().release)
        guard.run(DOUBLE)
        found: dict[str, Any] = json.loads((tmp_path / "GUARD_STATE").read_text())
        return {**found, "applied": applied, "brought_to": list(brought), "audit": audit(tmp_path)}

    return look


def audit(tmp_path: Path) -> list[dict[str, str]]:
    file = tmp_path / "AUDIT_FILE"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def at(minute: int) -> dict[str, object]:
    return {"timestamp": f"{telling.now()[:14]}{minute:02}:00Z"}


def test_all_is_well_and_the_release_is_brought_once(node: Node) -> None:
    node()
    found = node()
    assert (found["faults"], found["headers"], found["brought_to"]) == ([], True, ["cryptnono"])
    (bans,) = found["applied"]
    assert bans["data"]["addresses.txt"] == "127.77.77.77\n"


def test_bans_that_cannot_be_brought_are_told_and_the_rest_is_looked_at(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> dict[str, Any]:
        raise CommandFailed("kubectl apply: exit code 1: annotations: Too long")

    monkeypatch.setattr(guard, "in_force", refused)
    found = node()
    assert found["faults"] == ["kubectl apply: exit code 1: annotations: Too long"]
    assert [one["event"] for one in found["audit"]] == ["alert"]


@pytest.mark.parametrize(
    ("faults", "asked", "code"),
    [
        (["kubectl apply: exit code 1: net/http: TLS handshake timeout"] * 2, 3, 0),
        (["kubectl apply: exit code 1: dial tcp 127.0.0.1:6443: connect: connection refused"] * 99, TRIES, 1),
        (["kubectl apply: exit code 1: annotations: Too long"], 1, 1),
    ],
)  # fmt: skip
def test_an_install_waits_for_an_api_server_that_is_away_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    faults: list[str],
    asked: int,
    code: int,
) -> None:
    times = count(1)

    def put() -> None:
        if (now := next(times)) <= len(faults):
            raise CommandFailed(faults[now - 1])

    monkeypatch.setattr(guard, "in_force", put)
    monkeypatch.setattr(jobs_main, "time", SimpleNamespace(sleep=lambda seconds: None))
    assert jobs_main._bans() == code
    assert next(times) == asked + 1
    assert capsys.readouterr().err == (f"{faults[-1]}\n" if code else "")


def test_a_process_of_the_host_is_an_alarm_once(node: Node) -> None:
    found = node({**KILLED, **at(1)})
    found = node({**KILLED, **at(1)})
    (alarm,) = [one for one in found["audit"] if one["event"] == "killed"]
    assert (alarm["whose"], alarm["process"], alarm["command"]) == (
        "the host itself",
        "/usr/sbin/cron",
        "guard",
    )
    assert [one["host"] for one in found["kills"]] == [True]


def test_a_new_set_is_brought_and_a_bad_one_is_not(node: Node) -> None:
    node()
    good = node(banned_strings="xmrig\n", banned_addresses="1.1.1.1\n")
    assert (good["bans"]["strings"], good["bans"]["addresses"], len(good["brought_to"])) == (1, 1, 2)
    assert json.loads(Path(layout.BANS_VALUES).read_text())["detectors"]["execwhacker"]["configs"]["banned"]
    bad = node(banned_strings="xmrig\nown-daemon\n", banned_addresses="1.1.1.1\n9.9.9.9\n")
    assert [one.partition(": ")[0] for one in bad["bans"]["faults"]] == [
        "banned-strings:2",
        "banned-addresses:2",
    ]
    assert "pypi.org" in bad["bans"]["faults"][1]
    assert (bad["bans"]["digest"], len(bad["brought_to"])) == (good["bans"]["digest"], 2)
    assert [one["event"] for one in bad["audit"]] == ["alert"]
    assert Path(layout.BANS_VALUES).stat().st_mode & 0o777 == 0o600


def test_who_works_on_the_node_is_no_fault_and_it_is_brought_later(node: Node, tmp_path: Path) -> None:
    (tmp_path / "busy").touch()
    found = node()
    assert (found["faults"], found["brought_to"], found["brought"]) == ([], [], "")
    (tmp_path / "busy").unlink()
    assert node()["brought_to"] == ["cryptnono"]


def test_one_that_does_not_run_says_why_once_it_had_its_time(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = {"restartCount": 3, "containerID": "", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    assert node(status=waits)["faults"] == []
    monkeypatch.setattr(guard, "STARTING_S", 0)
    found = node(status=waits)
    assert len(found["faults"]) == 2
    assert found["faults"][0].startswith("execwhacker: CrashLoopBackOff")
    later = node(attached=False)
    assert "not attached yet" in later["faults"][0]


def test_what_was_seen_to_attach_stays_attached_while_its_container_runs(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "STARTING_S", 0)
    node()
    assert node(attached=False)["faults"] == []
    other = {**RUNS, "containerID": "containerd://2"}
    assert len(node(attached=False, status=other)["faults"]) == 2


def test_a_canary_that_is_killed_and_one_that_lives() -> None:
    lives = [guard.sys.executable, "-c", "pass"]
    dies = [guard.sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    assert guard.killed_after_s(lives) is None
    assert guard.killed_after_s(dies) is not None


def test_before_an_install_has_come_to_it_nothing_is_wrong(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent is there first, and each minute it looks: a member was degraded for its first one."""
    (tmp_path / "CHARTS" / "cryptnono.inputs.json").unlink()

    def asked(*words: str, **more: object) -> str:
        raise AssertionError(words)

    monkeypatch.setattr(guard, "kubectl", asked)
    monkeypatch.setattr(guard.running, "ask", asked)
    assert guard.run(DOUBLE)
    assert not (tmp_path / "GUARD_STATE").exists()
