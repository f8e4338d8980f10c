"""The bodies of commands: what is asked of `commands`, and how its results come out. The world begins behind it."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from binderbox.cli import main
from binderbox.errors import Locked, PreflightError, StepFailed
from binderbox.output.requests import (
    CheckRequest,
    InstallRequest,
    LaunchRequest,
    PlanRequest,
    SecretRequest,
    UninstallRequest,
)
from binderbox.output.results import (
    CheckReport,
    CheckResult,
    Gauge,
    InstallResult,
    LaunchResult,
    Part,
    PhaseResult,
    PlanResult,
    Secret,
    SecretsResult,
    StatusResult,
    UninstallResult,
)
from binderbox.output.value import Value
from tests.output.schemas import validate_output

LAUNCH = LaunchResult(
    "h", "git://x/s", "HEAD", "https://hub.b/user/x/lab?token=t", "r/i:1", True, False, (("total", 9.5),)
)
PHASES = (PhaseResult("Start k3s", 1.5, 2, 3),)
CHECK = CheckResult(
    "BBX-H10", "host", "the ports are free", "fail", "port 443 is held by apache2", "port 443", "stop it"
)


MODULES = {
    "check_host": "check",
    "plan_host": "plan",
    "install": "install",
    "launch": "launch",
    "status": "status",
    "uninstall": "uninstall",
    "set_secret": "secrets",
    "list_secrets": "secrets",
}


@dataclass
class Commands:
    """Stands where the modules of `binderbox.commands` do; keeps the requests, gives the answers, raises what it is told to."""

    modules: dict[str, ModuleType]
    requests: list[Any]

    def answer(self, name: str, result: Any) -> None:
        def function(request: Any, progress: Any, *confirm: Any) -> Any:
            self.requests.append(request)
            if confirm and not confirm[0]("Go on?"):
                raise AssertionError("not confirmed")
            progress.phase_started("Start k3s")
            progress.phase_done("Start k3s", 1.5, 2, 3)
            if isinstance(result, Exception):
                raise result
            return result

        setattr(self.modules[MODULES[name]], name, function)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Commands:
    modules = {name: ModuleType(f"binderbox.commands.{name}") for name in MODULES.values()}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, f"binderbox.commands.{name}", module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"s3cret\n")))
    return Commands(modules, [])


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = main(args)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


CASES: list[tuple[str, tuple[str, ...], Any, int, str]] = [
    ("check_host", ("check", "h"), CheckReport("h", (CHECK,)), 3, "check"),
    ("plan_host", ("plan", "h"), PlanResult("h", (Value("pods", 29, "pods", "small"),), PHASES, ("write x",)), 0, "plan"),
    ("plan_host", ("plan", "h", "--exit-code"), PlanResult("h", (), PHASES, ("write x",)), 6, "plan"),
    ("plan_host", ("plan", "h", "--exit-code"), PlanResult("h", (), (), ()), 0, "plan"),
    ("install", ("install", "h", "--yes"), InstallResult("h", "https://b", PHASES, ("x",), (LAUNCH,), (CHECK,)), 0, "install"),
    ("status", ("status", "h"), StatusResult("h", "degraded", "https://b", "now", (Part("k3s", True),), (Gauge("disk", 1.5, 9, "GB"),)), 5, "status"),
    ("status", ("status", "h"), StatusResult("h", "healthy"), 0, "status"),
    ("launch", ("launch", "h"), LAUNCH, 0, "launch"),
    ("uninstall", ("uninstall", "h", "--yes"), UninstallResult("h", ("k3s.service",), (), ()), 0, "uninstall"),
    ("uninstall", ("uninstall", "h", "--yes"), UninstallResult("h", (), (), ("cni0",)), 4, "uninstall"),
    ("list_secrets", ("secrets", "list", "h"), SecretsResult("h", (Secret("build-token", "given", False),)), 0, "secrets"),
    ("set_secret", ("secrets", "set", "h", "build-token"), SecretsResult("h", (), ("build-token",)), 0, "secrets"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "args", "result", "code", "schema"), CASES)
def test_results_as_json_fit_their_schema_and_carry_the_exit_code(
    commands: Commands, capsys: Any, function: str, args: tuple[str, ...], result: Any, code: int, schema: str
) -> None:
    commands.answer(function, result)
    got, out, err = run(capsys, *args, "--json")
    told = validate_output(out, schema)
    assert (got, told["exit"], told["host"]) == (code, code, "h")
    assert err == ""


@pytest.mark.parametrize(("function", "args", "result", "code", "schema"), CASES)
def test_results_as_text_go_to_stdout_and_talk_to_stderr(
    commands: Commands, capsys: Any, function: str, args: tuple[str, ...], result: Any, code: int, schema: str
) -> None:
    commands.answer(function, result)
    got, out, err = run(capsys, *args)
    assert got == code
    assert out.strip()
    assert err.splitlines() == ["...  Start k3s", "ok   Start k3s  1.5 s  (2 changed, 3 unchanged)"]


@pytest.mark.parametrize(
    ("category", "verdict", "code"),
    [("host", "fail", 3), ("k3s", "fail", 5), ("host", "warn", 0), ("dns", "skip", 0)],
)
def test_a_check_exits_by_what_failed(
    commands: Commands, capsys: Any, category: str, verdict: Any, code: int
) -> None:
    result = CheckResult("BBX-T01", category, "it is", verdict, "measured", "needed", "fix")
    commands.answer("check_host", CheckReport("h", (result,)))
    assert run(capsys, "check", "h")[0] == code


def test_a_check_of_a_chat_is_short(commands: Commands, capsys: Any) -> None:
    commands.answer("check_host", CheckReport("h", (CHECK,)))
    _, out, _ = run(capsys, "check", "h", "--short")
    assert out == "BBX-H10 fail: the ports are free: port 443 is held by apache2\nh: 1 fail\n"


def test_the_config_beside_us_is_used_and_a_given_one_wins(
    commands: Commands, capsys: Any, tmp_path: Path
) -> None:
    commands.answer("plan_host", PlanResult("h", (), (), ()))
    (tmp_path / "other.yaml").write_text("domain: o.example.org\n")
    run(capsys, "plan", "root@h")
    (tmp_path / "h.yaml").write_text("domain: b.example.org\n")
    run(capsys, "plan", "root@h")
    run(capsys, "plan", "root@h", "--config", "other.yaml", "--diff")
    configs = [(request.sources.config, request.diff) for request in commands.requests]
    assert configs == [(None, False), (Path("h.yaml"), False), (Path("other.yaml"), True)]
    assert all(isinstance(request, PlanRequest) for request in commands.requests)


def test_flags_reach_the_request(commands: Commands, capsys: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("BINDERBOX_SUDO_PASSWORD", "hunter2")
    (tmp_path / "ssh").write_text("")
    commands.answer("install", InstallResult("h", "u", (), ()))
    commands.answer("launch", LAUNCH)
    commands.answer("uninstall", UninstallResult("h", (), (), ()))
    digest = "AB" * 32
    run(
        capsys,
        "install",
        "h",
        "--ssh-config",
        "ssh",
        "--bundle",
        ".",
        "--bundle-sha256",
        digest,
        "--lock-wait",
        "9",
        "-y",
        "--yes-firewall",
    )
    run(capsys, "launch", "h", "https://github.com/a/b", "--ref", "main", "--stop")
    run(capsys, "uninstall", "h", "--purge", "--yes")
    install, launch, uninstall = commands.requests
    assert isinstance(install, InstallRequest)
    assert (install.connection.host, install.connection.ssh_config, install.connection.sudo_password) == (
        "h",
        Path("ssh"),
        "hunter2",
    )
    assert (install.sources.bundle, install.sources.bundle_sha256, install.lock_wait_s) == (
        Path("."),
        digest.lower(),
        9.0,
    )
    assert install.yes_firewall
    assert not InstallRequest(install.connection).yes_firewall
    assert "hunter2" not in repr(install)
    assert (launch.url, launch.ref, launch.stop) == ("https://github.com/a/b", "main", True)
    assert isinstance(launch, LaunchRequest)
    assert isinstance(uninstall, UninstallRequest)
    assert uninstall.purge


def test_a_secret_comes_by_stdin_without_its_last_newline_and_is_never_shown(
    commands: Commands, capsys: Any
) -> None:
    commands.answer("set_secret", SecretsResult("h", (), ("build-token",)))
    _, out, err = run(capsys, "secrets", "set", "h", "build-token", "-vv")
    (request,) = commands.requests
    assert isinstance(request, SecretRequest)
    assert request.value == b"s3cret"
    assert "s3cret" not in out + err + repr(request)


@pytest.mark.parametrize(("value", "says"), [(b"\n", "is empty"), (b"a\0b", "holds a zero byte")])
def test_a_secret_that_cannot_be_one_is_refused(
    commands: Commands, capsys: Any, tmp_path: Path, value: bytes, says: str
) -> None:
    (tmp_path / "f").write_bytes(value)
    code, _, err = run(capsys, "secrets", "set", "h", "build-token", "--file", "f")
    assert (code, says in err, commands.requests) == (2, True, [])


def test_a_question_that_nobody_can_answer_is_refused_with_the_way_out(
    commands: Commands, capsys: Any
) -> None:
    commands.answer("install", InstallResult("h", "u", (), ()))
    code, out, err = run(capsys, "install", "h")
    assert (code, out) == (2, "")
    assert 'there is nobody to ask "Go on?"' in err
    assert "binderbox install h --yes" in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PreflightError("h: 1 of 20 checks failed", checks=(CHECK,), remedy="binderbox install h"), 3),
        (
            StepFailed(
                "h: Start k3s failed", cause="no space left", remedy="binderbox install h", log="/x.log"
            ),
            4,
        ),
        (Locked("h is busy", holder="me@there", step="Start k3s", age_s=3), 7),
    ],
)
def test_a_failed_install_still_tells_what_it_had_done(
    commands: Commands, capsys: Any, error: Any, code: int
) -> None:
    commands.answer("install", error)
    got, out, _ = run(capsys, "install", "h", "--yes", "--json")
    told = validate_output(out, "install")
    assert (got, told["exit"], told["error"]["code"]) == (code, code, error.code)
    assert told["phases"] == [{"title": "Start k3s", "seconds": 1.5, "changed": 2, "unchanged": 3}]
    assert told["error"]["log"]
    assert [check["id"] for check in told.get("checks", [])] == (["BBX-H10"] if code == 3 else [])


def test_failed_checks_are_shown_with_their_fixes(commands: Commands, capsys: Any) -> None:
    error = PreflightError(
        "h: 1 of 20 checks failed", checks=(CHECK,), cause="told twice", remedy="binderbox install h"
    )
    commands.answer("install", error)
    code, out, err = run(capsys, "install", "h", "--yes")
    assert (code, out) == (3, "")
    assert "told twice" not in err
    assert (
        "  FAIL BBX-H10 the ports are free: port 443 is held by apache2\n       needed: port 443\n       fix:    stop it"
        in err
    )
    assert (
        err.index("FAIL")
        < err.index("error BBX-301: h: 1 of 20 checks failed")
        < err.index("next:  binderbox install h")
    )


def test_the_log_is_the_hosts_and_private(commands: Commands, capsys: Any, tmp_path: Path) -> None:
    commands.answer("check_host", CheckReport("h", ()))
    run(capsys, "check", "../../h")
    run(capsys, "check", "../../h")
    (log,) = (tmp_path / "state/binderbox/logs").iterdir()
    assert log.stat().st_mode & 0o077 == 0
    assert log.read_text().count('"event": "started"') == 2


def test_where_no_log_can_be_written_the_work_goes_on(
    commands: Commands, capsys: Any, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file, not a directory")
    commands.answer("check_host", StepFailed("no"))
    code, _, err = run(capsys, "check", "h")
    assert code == 4
    assert Path(err.splitlines()[-1].removeprefix("  log:").strip()).is_file()


def test_every_request_type_is_asked_for() -> None:
    """A new request has no way into the program unless a command makes it."""
    from binderbox.output import requests as asked

    source = "".join(path.read_text() for path in Path(main.__code__.co_filename).parent.glob("*.py"))
    requests = [name for name in vars(asked) if name.endswith("Request")]
    assert CheckRequest.__name__ in requests
    assert [name for name in requests if f"{name}(" not in source] == []
