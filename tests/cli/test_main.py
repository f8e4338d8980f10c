"""The program's edges: help, exit codes, streams, and what an error looks like."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from binderbox.cli import COMMANDS, cli
from tests.cli.run import PROGRAM, binderbox
from tests.output.schemas import validate_output


def test_help_names_every_command_with_the_first_line_of_its_own_help(tmp_path: Path) -> None:
    shown = binderbox(tmp_path, "--help").stdout
    for name, (_, summary) in COMMANDS.items():
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        assert (command.help or "").splitlines()[0] == summary
        assert f"{name:<{max(map(len, COMMANDS))}}  {summary}" in shown


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from binderbox.cli import main; main(['--help']);"
        "heavy = {'rich', 'pyinfra', 'gevent', 'httpx', 'pydantic', 'yaml', 'kubernetes', 'minio', 'dns', 'logging', 'ssl',"
        "'cryptography', 'binderbox.commands.connect'} & set(sys.modules); print('heavy:', sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_version(tmp_path: Path) -> None:
    done = binderbox(tmp_path, "--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "binderbox")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["install"], "Missing argument 'HOST'"),
        (["install", "h", "--lock-wait", "-1"], "--lock-wait"),
        (["check", "h", "--config", "missing.yaml"], "missing.yaml"),
        (["plan", "h", "--bundle-sha256", "abc"], "64 hexadecimal digits"),
        (["secrets", "set", "h", "build-tokn"], "'build-tokn' is no secret"),
        (["check", "--", "-oProxyCommand=touch x"], "is no ssh destination"),
        (["check", "two words"], "is no ssh destination"),
        (["init", "h"], "Missing option '--domain'"),
        (["init", "h", "--domain", "no_domain"], "expected a host name"),
        (["install", "h", "--ask-sudo"], "needs a terminal"),
    ],
)
def test_a_wrong_command_line_is_exit_2_on_stderr(tmp_path: Path, args: list[str], says: str) -> None:
    done = binderbox(tmp_path, *args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert says in done.stderr
    assert done.stderr.startswith("error BBX-10")
    assert "\n  next:" in done.stderr
    assert "Traceback" not in done.stderr


def test_with_json_a_wrong_command_line_has_a_result_too(tmp_path: Path) -> None:
    done = binderbox(tmp_path, "plan", "h", "--json", "--bundle-sha256", "abc")
    result = validate_output(done.stdout, "plan")
    assert (done.returncode, result["exit"], result["command"], result["host"]) == (2, 2, "plan", "h")
    assert result["error"]["code"] == "BBX-102"
    done = binderbox(tmp_path, "--json", "install")
    assert validate_output(done.stdout, "install")["exit"] == 2


def test_flags_mean_the_same_before_and_after_the_command_and_in_the_environment(tmp_path: Path) -> None:
    wanted = ("init", "h.example", "--domain", "b.example.org", "-o", "-")
    lines = [
        binderbox(tmp_path, "--json", *wanted).stdout,
        binderbox(tmp_path, *wanted, "--json").stdout,
        binderbox(tmp_path, *wanted, env={"BINDERBOX_JSON": "1"}).stdout,
        binderbox(
            tmp_path,
            "init",
            "h.example",
            "-o",
            "-",
            env={"BINDERBOX_JSON": "1", "BINDERBOX_DOMAIN": "b.example.org"},
        ).stdout,
    ]
    assert len(set(lines)) == 1
    assert validate_output(lines[0], "init")["text"].endswith("domain: b.example.org\n")


def test_every_option_has_its_environment_variable() -> None:
    import click

    def walk(command: click.Command) -> list[click.Option]:
        if isinstance(command, click.Group):
            names = command.list_commands(None)  # type: ignore[arg-type]
            inner = [walk(command.get_command(None, name)) for name in names]  # type: ignore[arg-type]
            return [option for options in inner for option in options]
        return [param for param in command.params if isinstance(param, click.Option)]

    found = walk(cli)
    assert len(found) > 30
    for option in found:
        long = next(name for name in option.opts if name.startswith("--"))
        assert option.envvar == "BINDERBOX_" + long.lstrip("-").upper().replace("-", "_")


def test_a_reader_who_leaves_changes_nothing(tmp_path: Path) -> None:
    command = f"{sys.executable} -c '{PROGRAM[2]}' init h --domain b.example.org -o - | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("0\n", "")


def broken(tmp_path: Path, body: str, *args: str) -> subprocess.Popen[str]:
    """The program with a `commands.check.check_host` that does `body`; no host is needed to see how it ends."""
    script = (
        "import sys, types\n"
        "module = types.ModuleType('binderbox.commands.check')\n"
        f"def check_host(request, progress):\n    {body}\n"
        "module.check_host = check_host\n"
        "sys.modules['binderbox.commands.check'] = module\n"
        "from binderbox.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    env = os.environ | {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    return subprocess.Popen(
        [sys.executable, "-c", script, "check", "h.example", *args],
        cwd=tmp_path,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_bug_is_exit_1_with_its_traceback_in_the_log_only(tmp_path: Path) -> None:
    process = broken(tmp_path, "raise ZeroDivisionError('by zero')")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("error BBX-000: a bug in binderbox: ZeroDivisionError: by zero")
    assert "Traceback" not in err
    log = Path(err.splitlines()[-1].removeprefix("  log:").strip())
    assert "ZeroDivisionError: by zero" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_a_traceback_is_shown_to_those_who_ask_for_it(tmp_path: Path) -> None:
    _, err = broken(tmp_path, "raise ZeroDivisionError('by zero')", "-vv").communicate(timeout=60)
    assert "Traceback (most recent call last)" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_releases_and_tells_how_to_continue(tmp_path: Path, number: signal.Signals) -> None:
    body = "import time\n    try: progress.phase_started('Start k3s'); time.sleep(50)\n    finally: print('released', file=sys.stderr)"
    process = broken(tmp_path, body, "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["title"] == "Start k3s"
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "released" in err
    assert "binderbox check h.example --json" in err
    assert validate_output(out, "check")["error"]["code"] == "BBX-901"


def test_a_file_that_is_not_there_blames_the_variable_only_when_it_named_it(tmp_path: Path) -> None:
    given = binderbox(tmp_path, "check", "h.example", "--short", "--config", "nowhere.yaml")
    assert (given.returncode, "BINDERBOX_CONFIG" in given.stderr, "nowhere.yaml" in given.stderr) == (
        2,
        False,
        True,
    )
    named = binderbox(tmp_path, "check", "h.example", env={"BINDERBOX_CONFIG": "nowhere.yaml"})
    assert (named.returncode, "BINDERBOX_CONFIG" in named.stderr) == (2, True)
