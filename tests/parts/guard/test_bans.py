"""What an operator may ban: each line that would do harm is refused with its number, and no line of it is in force."""

from __future__ import annotations

import re

import pytest

from binderbox.parts.guard import bans
from binderbox.parts.guard.bans import ADDRESSES, ALLOWED, OWN_COMMANDS, STRINGS, BadBans, Bans, kills, parse


def faults(texts: dict[str, str], *running: str) -> list[str]:
    with pytest.raises(BadBans) as refused:
        parse(texts, running)
    return list(refused.value.faults)


def test_good_lines_are_taken_once_and_comments_are_none() -> None:
    texts = {
        STRINGS: "# shared\nxmrig\r\nstratum+tcp\n\nxmrig\n",
        ALLOWED: r"grep\s+xmrig",
        ADDRESSES: "1.1.1.1\n9.9.9.9\n",
    }
    assert parse(texts) == Bans(("xmrig", "stratum+tcp"), (r"grep\s+xmrig",), ("1.1.1.1", "9.9.9.9"))
    assert parse({}) == Bans()


@pytest.mark.parametrize(
    "line", ["python", "Jupyter", "containerd", "k3s server", "/bin/sh -c", "pip install", "CURL", "node"]
)
def test_what_the_node_or_a_notebook_is_started_with_is_refused(line: str) -> None:
    (one,) = (
        faults({STRINGS: f"xmrig\n{line}\n"})
        if len(line) >= bans.SHORTEST
        else faults({STRINGS: f"x-miner\n{line}\n"})
    )
    assert one.startswith(f"{STRINGS}:2: ")
    assert (
        line not in one.replace("would kill a process of the node's own:", "")
        or line in OWN_COMMANDS
        or line.lower() in one
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("x", "1 bytes long"),
        ("y" * 128, "128 bytes long"),
        (" leading", "blanks"),
        ("bell\x07rings", "characters"),
    ],
)
def test_lines_that_cannot_tell_a_command(line: str, why: str) -> None:
    assert why in faults({STRINGS: line})[0]


def test_every_bad_line_of_every_file_is_said_at_once() -> None:
    found = faults(
        {
            STRINGS: "xmrig\npython3\nab\n",
            ALLOWED: "((\n.*\n",
            ADDRESSES: "10.0.0.1\n::1\n1.1.1.0/24\n8.8.8.8\n",
        }
    )
    assert [re.match(r"[a-z-]+:\d+", one).group() for one in found] == [  # type: ignore[union-attr]
        f"{ALLOWED}:1", f"{ALLOWED}:2", f"{STRINGS}:2", f"{STRINGS}:3", f"{ADDRESSES}:1", f"{ADDRESSES}:2", f"{ADDRESSES}:3",
    ]  # fmt: skip


def test_what_runs_on_the_host_is_not_to_be_killed_unless_it_is_spared() -> None:
    running = "/usr/sbin/backup-agent --config /etc/backup.yaml"
    assert (
        "would kill a process of the node's own: /usr/sbin/backup-agent"
        in faults({STRINGS: "backup-agent"}, running)[0]
    )
    assert parse({STRINGS: "backup-agent", ALLOWED: "/usr/sbin/backup-agent"}, [running]).strings == (
        "backup-agent",
    )


def test_an_address_that_builds_need_is_refused_with_whose_it_is() -> None:
    with pytest.raises(
        BadBans, match=r"banned-addresses:2: 8\.8\.8\.8 is pypi\.org's, which builds and notebooks ask"
    ):
        parse({ADDRESSES: "1.1.1.1\n8.8.8.8\n"}, (), {"8.8.8.8": "pypi.org"})


def test_a_file_that_no_config_map_holds_is_refused() -> None:
    (one,) = faults({ADDRESSES: "1.1.1.1\n" * 150_000})
    assert "1.2 MB, and 0.9 MB is the most" in one


@pytest.mark.parametrize(
    ("command", "dies"),
    [
        ("python3 -c print('cryptnono.banned.string1')", True),
        ("python3 -c .cryptnono.banned.string1-", True),
        ("python3 -c Cryptnono.BANNED.string1", True),
        ("python3 -c Xcryptnono.banned.string1", False),
        ("python3 -c cryptnono.banned.string1X", False),
        ("python3", False),
        # any occurrence within a word spares the command, as in kill_if_needed
        ("a cryptnono.banned.string1 cryptnono.banned.string1X", False),
    ],
)
def test_a_string_is_a_whole_word_in_any_case(command: str, dies: bool) -> None:
    assert kills("cryptnono.banned.string1", command) is dies


def test_no_program_of_the_node_is_killed_by_the_canarys_word() -> None:
    assert not [one for one in OWN_COMMANDS if kills(bans.CANARY, one)]
    assert kills(bans.CANARY, f"python3 -c pass {bans.CANARY}")


def test_another_set_is_another_pod_and_the_canarys_address_is_always_banned() -> None:
    empty, some = Bans(), Bans(("xmrig",), (), ("1.1.1.1",))
    assert bans.values(empty)["podAnnotations"] != bans.values(some)["podAnnotations"]
    assert bans.values(empty)["detectors"]["execwhacker"] == {}
    texts = bans.config_map(some, "here")["data"][bans.CONFIG_MAP_KEY].split()
    assert texts == [bans.CANARY_ADDRESS, "1.1.1.1"]
