"""buildctl for one build, from start to end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .output import Output
from .reasons import explain
from .vertices import Vertices, reading
from .workplace import Workplace

PROXY = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
END_WITHIN_S = 10.0  # buildctl asks BuildKit to end the build's steps, then leaves
FAILS_WITHIN_S = 5.0  # a build whose steps were killed


@dataclass(frozen=True)
class Ended:
    """How a build ended: `fault` is empty when it succeeded. `again`: this node is to blame, and may do better."""

    fault: str
    again: bool = False


def run_build(
    command: list[str],
    place: Workplace,
    vertices: Vertices,
    pod: socket.socket,
    max_build_s: float,
    step_memory_gb: float,
    log: Callable[[bytes], None],
    ending: Callable[[], str],
    kill_steps: Callable[[], bool],
) -> Ended:
    """Run buildctl, hand its output to `log` in whole lines and its trace to `vertices`, and end it when it must end.

    It ends early when the pod leaves, after max_build_s, when `log` fails, or when `ending` says why. Its steps are killed
    first (`kill_steps` says whether there were any), so that it fails by itself: of a step that BuildKit cancels it keeps what
    was written until its own next start (0.32: resultProxy takes the references of an exec error after it has released its own).
    Whatever happens, buildctl is gone when this returns; steps of a BuildKit that crashed, or whose containerd was
    restarted, are ended by whoever asks for them (steps.py).
    """
    deadline = time.monotonic() + max_build_s
    overdue = f"The build took longer than {max_build_s:.0f} s and was ended."
    with reading(place.trace, vertices) as trace, _started(command, place) as process:
        assert process.stdout is not None
        output = Output(process.stdout.fileno(), trace, vertices)
        try:
            why = output.pass_on(log, pod, lambda: overdue if time.monotonic() > deadline else ending())
        except OSError:
            _fail(output, kill_steps)
            raise
        if why:
            _fail(output, kill_steps)
            return Ended(why)
        try:
            code = process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            return Ended("The build's program closed its output and did not end.")
    if code == 0:
        return Ended("")
    reason = explain(output.tail.decode("utf-8", "replace"), code, step_memory_gb)
    return Ended(reason.text, reason.again)


def _fail(output: Output, kill_steps: Callable[[], bool]) -> None:
    """Have the build fail by itself, if it can; nobody reads its log any more."""
    if kill_steps():
        deadline = time.monotonic() + FAILS_WITHIN_S
        output.pass_on(lambda _: None, None, lambda: "late" if time.monotonic() > deadline else "")


@contextmanager
def _started(command: list[str], place: Workplace) -> Iterator[subprocess.Popen[bytes]]:
    """buildctl, without any credential of the node's root; it is gone with the block."""
    environment = {"PATH": os.defpath, "HOME": str(place.home), "DOCKER_CONFIG": str(place.home)}
    # BuildKit lets its client ask for a registry's tokens, which goes by the site's proxy, too
    environment |= {name: os.environ[name] for name in PROXY if name in os.environ}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=place.home,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield process
    finally:
        _end(process)
        process.stdout.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
