"""Commands through the open shell: streams, exit codes and input are exact, whatever the command does."""

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from binderbox.world.host.hosts import Host
from tests.waiting import wait_until
from tests.world.conftest import open_on
from tests.world.sshd import LocalSshd


@pytest.fixture(scope="module")
def host(sshd: LocalSshd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One open shell for all of these: each test also shows that the ones before it left it whole."""
    opened = open_on(sshd, Path(tmp_path_factory.mktemp("shell")))
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("script", "code", "stdout", "stderr"),
    [
        ("echo hi", 0, b"hi\n", b""),
        ("printf 'no newline at the end'", 0, b"no newline at the end", b""),
        ("printf 'a\\0b\\377\\n\\n'", 0, b"a\0b\xff\n\n", b""),
        ("echo out; echo err >&2; exit 7", 7, b"out\n", b"err\n"),
        ("true", 0, b"", b""),
        ("echo 'it'\"'\"'s \"$HOME\" `x` \\\\'\necho second", 0, b'it\'s "$HOME" `x` \\\nsecond\n', b""),
        ("exit 255", 255, b"", b""),
        ("printf '%s' :begin :end:0; exit 3", 3, b":begin:end:0", b""),
    ],
)
def test_streams_and_exit_code_are_exact(
    host: Host, script: str, code: int, stdout: bytes, stderr: bytes
) -> None:
    output = host.sh(script)
    assert (output.code, output.stdout, output.stderr) == (code, stdout, stderr)


def test_a_command_is_a_list_of_arguments_however_they_look(host: Host) -> None:
    hostile = ["", " ", "'", '"', "$(touch /x)", "a\nb", "-n", "*", "\\", "ü", "!"]
    output = host.run(["printf", "%s\\0", *hostile])
    assert output.stdout == "".join(f"{one}\0" for one in hostile).encode()


def test_a_syntax_error_hurts_only_its_own_command(host: Host) -> None:
    assert host.sh("echo 'open").code == 2
    assert host.sh("echo still here").stdout == b"still here\n"


def test_exit_and_kill_end_only_their_own_command(host: Host) -> None:
    assert host.run(["sh", "-c", "kill -9 $$"]).code == 137
    assert host.sh("kill -9 $$").code == 137
    assert host.sh("exit 3").code == 3
    assert host.sh("echo still here").stdout == b"still here\n"


def test_megabytes_on_both_streams_at_once(host: Host) -> None:
    output = host.sh("head -c 5000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/urandom >&2; exit 9")
    assert (output.code, len(output.stdout), len(output.stderr)) == (9, 5_000_000, 3_000_000)
    assert set(output.stdout) == {ord("x")}


def test_a_command_that_reads_input_gets_none_and_does_not_hang(host: Host) -> None:
    started = time.monotonic()
    assert host.sh("cat; read x; echo $?").stdout == b"1\n"
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("size", [0, 10, 40_000, 300_000])
@pytest.mark.parametrize("work", [False, True])
def test_input_arrives_byte_for_byte(host: Host, size: int, work: bool) -> None:
    data = bytes(range(256)) * (size // 256) + b"END-OF-BINDERBOX-INPUT\n"[: size % 256]
    output = host.sh("sha256sum; exit 5", stdin=data, work=work)
    assert (output.code, output.stdout.split()[0].decode()) == (5, hashlib.sha256(data).hexdigest())


def test_a_command_longer_than_one_argument_may_be(host: Host) -> None:
    assert host.sh(f": {'x' * 300_000}\ncat; exit 6", stdin=b"in").stdout == b"in"


def test_a_command_over_its_time_is_ended(host: Host) -> None:
    started = time.monotonic()
    assert host.run(["sleep", "30"], timeout_s=1).code == 124
    assert time.monotonic() - started < 10
    assert host.sh("echo still here").stdout == b"still here\n"


def test_work_gives_the_same_output_and_leaves_no_files(host: Host) -> None:
    output = host.sh("echo out; echo err >&2; exit 4", work=True)
    assert (output.code, output.stdout, output.stderr) == (4, b"out\n", b"err\n")
    assert host.sh(f"ls {host.connection.run_dir}").stdout == b""


def test_what_a_background_process_says_later_is_not_the_next_commands_output(
    host: Host, directory: Path
) -> None:
    host.sh(f"(sleep 0.3; echo late; echo late >&2; : >{directory}/said) & echo now")
    wait_until((directory / "said").exists, 20, "the late words")
    output = host.sh("echo mine")
    assert (output.stdout, output.stderr) == (b"mine\n", b"")


def test_threads_take_turns(host: Host) -> None:
    answers: dict[int, bytes] = {}

    def ask(number: int) -> None:
        answers[number] = host.sh(f"sleep 0.0{number}; echo {number}").stdout

    threads = [threading.Thread(target=ask, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == {number: f"{number}\n".encode() for number in range(8)}


def test_root_programs_are_found_and_messages_are_english(host: Host) -> None:
    assert host.sh('echo "$PATH $LC_ALL $(pwd)"').text.split() == [
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "C.UTF-8",
        "/",
    ]


def test_short_commands_cost_one_round_trip_each(host: Host) -> None:
    before = host.round_trips
    for _ in range(5):
        host.sh("true")
    assert host.round_trips - before == 5
