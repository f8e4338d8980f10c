"""What buildctl says last, as a sentence for a visitor."""

from __future__ import annotations

import pytest

from binderbox.parts.builder.door.callers import FULL
from binderbox.parts.builder.door.reasons import AGAIN, Once, explain
from tests.places import ROOT

PROCESS = 'process "/bin/sh -c x" did not complete successfully: exit code: '


@pytest.mark.parametrize(
    ("output", "words", "again"),
    [
        ("error: failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF", "was restarted", True),
        ('error: failed to solve: Unavailable: connection error: desc = "transport: Error while dialing: dial unix /run/x.sock: connect: connection refused"', "was restarted", True),
        ('error: listing workers for Build: failed to list workers: Unavailable: connection error: desc = "transport: Error while dialing: dial unix /run/x.sock: connect: no such file or directory"', "was restarted", True),
        ("error: failed to solve: failed to copy: write /x: no space left on device", "free disk", False),
        (f"#7 1.0 tar: write error: No space left on device\nerror: failed to solve: {PROCESS}2", "free disk", False),
        (f"error: failed to solve: {PROCESS}137", "4.7 GB", False),
        (f"error: failed to solve: {PROCESS}1", PROCESS + "1", False),
        (f"#3 0.1 curl: (7) connection refused\nerror: failed to solve: {PROCESS}7", PROCESS + "7", False),
        ("error: failed to solve: dockerfile parse error on line 3: unknown instruction: RUNN", "line 3", False),
        ('error: failed to solve: failed to get container: connection error: desc = "transport: Error while dialing: dial unix:///run/k3s/containerd/containerd.sock: connect: connection refused": unavailable', "was restarted", True),
        ("error: failed to receive status: rpc error: code = Unavailable desc = error reading from server: read unix @->/run/x.sock: read: connection reset by peer", "was restarted", True),
        ('error: failed to solve: failed to load cache key: Get "http://127.0.0.1:5000/v2/": dial tcp 127.0.0.1:5000: connect: connection refused', "127.0.0.1:5000", False),
        ('error: failed to solve: failed to load cache key: Get "https://example.org/": read tcp 10.0.0.1:33-192.0.2.1:443: read: connection reset by peer', "example.org", False),
        ("error: failed to solve: example.org/x: unexpected status from HEAD request to https://example.org/v2/x/manifests/1: 503 Service Unavailable", "503", False),
        ('error: failed to solve: ghcr.io/containerd/x: failed to do request: Head "https://ghcr.io/v2/containerd/x/manifests/1": EOF', "ghcr.io", False),
        ("error: failed to solve: failed to fetch remote https://example.org/containerd/containerd.git: git stderr: fatal: no such file", "containerd.git", False),
        ("", "exit status 1", False),
    ],
)  # fmt: skip
def test_reasons(output: str, words: str, again: bool) -> None:
    found = explain(output, 1, 4.7)
    assert words in found.text
    assert found.again == again
    assert "rpc error" not in found.text


def test_what_is_said_twice_is_found_however_it_is_cut() -> None:
    lines = [
        b"#5 0.1 a\n",
        b"------\n",
        b" > [2/2] RUN x:\n",
        b"0.1 a\n",
        b"------\n",
        b"Dockerfile:1\n",
        b"------\n",
        b"b\n",
    ]
    once = Once()
    assert b"".join(map(once.pass_on, lines)) == b"#5 0.1 a\nDockerfile:1\n------\nb\n"
    assert Once().pass_on(b"".join(lines)) == b"#5 0.1 a\nDockerfile:1\n------\nb\n"


def test_the_lines_of_the_step_that_fails_are_shown_again_where_others_have_come_between() -> None:
    """Two stages at once: the other one writes on until it is cancelled."""
    failing = b"#5 0.2 cc: fatal error: x.h\n#5 ERROR: process did not complete\n"
    other = b"".join(b"#6 0.%03d compiling\n" % number for number in range(200))
    end = b"------\n > [stage 2/2] RUN make:\n0.2 cc: fatal error: x.h\n------\n"
    error = b"error: failed to solve: process did not complete\n"
    assert Once().pass_on(failing + other + end + error) == failing + other + end
    assert Once().pass_on(other + failing + end + error) == other + failing
    silent = b"#5 ERROR: process did not complete\n"
    nothing = b"------\n > [2/2] RUN false:\n------\n"
    assert Once().pass_on(silent + nothing + error) == silent


def test_the_manual_has_what_a_visitor_reads_when_the_node_is_to_blame() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    for output in ("error reading from server: EOF", "no space left on device", f"{PROCESS}137"):
        text = explain(f"error: failed to solve: {output}", 1, 4.7).text
        assert text.replace("4.7", "N").partition(f" {output}")[0] in page
    assert FULL.removesuffix(AGAIN).strip() in page
