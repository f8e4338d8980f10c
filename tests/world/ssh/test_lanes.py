"""Several threads that look at one host do not wait for each other, nor for sessions that a server does not give."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from binderbox.world.host.hosts import Host
from binderbox.world.ssh.lanes import MOST
from tests.world.conftest import open_on
from tests.world.sshd import LocalSshd, start_sshd


@pytest.fixture
def host(sshd: LocalSshd, directory: Path) -> Iterator[Host]:
    opened = open_on(sshd, directory)
    yield opened
    opened.close()


def together(host: Host, directory: Path, many: int) -> list[bytes]:
    """So many commands, each of which ends when all of them run."""
    script = f"echo $$ >>{directory}/there; until [ $(wc -l <{directory}/there) -ge {many} ]; do sleep 0.05; done; echo done"
    with ThreadPoolExecutor(many) as threads:
        return [output.stdout for output in threads.map(lambda _: host.sh(script, timeout_s=20), range(many))]


def test_commands_of_several_threads_run_at_the_same_time(host: Host, directory: Path) -> None:
    assert together(host, directory, 1 + MOST) == [b"done\n"] * (1 + MOST)


def test_what_is_one_too_many_waits_and_the_shells_are_used_again(host: Host) -> None:
    with ThreadPoolExecutor(12) as threads:
        told = list(threads.map(lambda number: host.sh(f"echo {number}; sleep 0.1").stdout, range(24)))
    assert told == [f"{number}\n".encode() for number in range(24)]
    assert len(host.connection._lane_talks) <= MOST


def test_work_goes_through_the_first_shell_alone(host: Host) -> None:
    """It may hold the host's lock; the others do not."""
    with ThreadPoolExecutor(4) as threads:
        told = list(
            threads.map(lambda number: host.sh(f"echo {number}; sleep 0.1", work=True).stdout, range(4))
        )
    assert told == [f"{number}\n".encode() for number in range(4)]
    assert host.connection._lane_talks == []


def test_a_server_that_allows_one_session_is_asked_one_after_the_other(
    tmp_path: Path, directory: Path
) -> None:
    sshd = start_sshd(tmp_path, setting="MaxSessions 1")
    opened = open_on(sshd, directory)
    try:
        with ThreadPoolExecutor(6) as threads:
            told = list(threads.map(lambda number: opened.sh(f"echo {number}; sleep 0.05").stdout, range(12)))
        assert told == [f"{number}\n".encode() for number in range(12)]
    finally:
        opened.close()
        sshd.stop()
