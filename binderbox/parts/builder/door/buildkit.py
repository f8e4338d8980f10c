"""One build: buildctl's arguments, and buildctl itself from start to end."""

from __future__ import annotations

import hashlib
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from .config import DoorConfig
from .frontend import OWN
from .pods import Permit
from .reasons import Once, explain
from .request import BuildRequest

PROXY = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
END_WITHIN_S = 10.0  # buildctl asks BuildKit to end the build's steps, then leaves
TAIL = 4 << 10
MAX_LINE = 64 << 10


@dataclass(frozen=True)
class Ended:
    """How a build ended: `fault` is empty when it succeeded. `again`: this node is to blame, and may do better."""

    fault: str
    again: bool = False


def build_command(
    config: DoorConfig, permit: Permit, request: BuildRequest, context: str, metadata: str, mark: str
) -> list[str]:
    """Return buildctl's arguments. The caller chooses Dockerfile, build args and labels, and nothing else.

    Each value is the rest of one argument of its own: buildctl splits `--opt` and `--local` at the first
    `=` only. `--output` is a comma-separated list, which is why a tag's letters are checked (pods.py).
    `mark` is in the environment of its steps.
    One manifest without attestations, because BinderHub's registry check asks for an OCI image manifest.
    Base layers stay as they are; only new ones are compressed, at zstd's quickest level.
    """
    # By the tag, which names repository and commit: GitHub shows a fork's commit under its parent's address, too.
    namespace = hashlib.sha256(permit.tag.encode()).hexdigest()[:32]
    options = [f"filename={request.dockerfile}"]
    options += [f"build-arg:{one}" for one in _proxy(config.step_proxy, mark)]
    options += [f"build-arg:{name}={value}" for name, value in request.buildargs]
    options += [f"label:{name}={value}" for name, value in request.labels]
    options += [
        f"platform={config.platform}",
        "image-resolve-mode=local",
        f"build-arg:BUILDKIT_CACHE_MOUNT_NS={namespace}",  # cache mounts are shared by the whole daemon otherwise
    ]
    output = (
        f"type=image,name={permit.tag},unpack=true,push=false,oci-mediatypes=true,"
        "compression=zstd,compression-level=1"
    )
    command = [config.buildctl, "--addr", config.buildkit_address, "build", "--progress=plain"]
    command += [
        "--frontend=dockerfile.v0",
        OWN,
        f"--local=context={context}",
        f"--local=dockerfile={context}",
    ]
    command += [f"--opt={option}" for option in options]
    return [*command, f"--output={output}", f"--metadata-file={metadata}"]


def _proxy(told: tuple[str, ...], mark: str) -> list[str]:
    """What steps are told of the site's proxy, and whose they are (steps.py); no part of what BuildKit caches by."""
    values = dict(one.split("=", 1) for one in told)
    values["no_proxy"] = ",".join(filter(None, (values.get("no_proxy"), mark)))
    return [f"{name}={value}" for name, value in sorted(values.items())]


def run_build(
    command: list[str],
    home: str,
    pod: socket.socket,
    max_build_s: float,
    step_memory_gb: float,
    log: Callable[[bytes], None],
    ending: Callable[[], str],
) -> Ended:
    """Run buildctl, hand its output to `log` in whole lines, and end it when it must end.

    It ends early when the pod closes its connection (or says anything: it has nothing more to say),
    after max_build_s, when `log` fails, or when `ending` says why. Whatever happens, buildctl is gone when this returns,
    and a BuildKit that runs ends the steps with its session; those of one that crashed, or whose containerd was
    restarted, are ended by whoever asks for them (steps.py).
    """
    environment = {
        "PATH": os.defpath,
        "HOME": home,
        "DOCKER_CONFIG": home,
    }  # no credentials of the node's root
    # BuildKit lets its client ask for a registry's tokens, which goes by the site's proxy, too
    environment |= {name: os.environ[name] for name in PROXY if name in os.environ}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=home,
        start_new_session=True,
    )
    assert process.stdout is not None
    deadline = time.monotonic() + max_build_s
    tail, rest, once = b"", b"", Once()
    try:
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            ready.register(pod, selectors.EVENT_READ)
            while True:
                if time.monotonic() > deadline:
                    return Ended(f"The build took longer than {max_build_s:.0f} s and was ended.")
                if why := ending():
                    return Ended(why)
                events = {key.fileobj for key, _ in ready.select(1.0)}
                if pod in events:
                    return Ended("the build pod left")
                if process.stdout in events:
                    piece = os.read(process.stdout.fileno(), 64 << 10)
                    if not piece:
                        break
                    tail = (tail + piece)[-TAIL:]
                    lines, newline, rest = (rest + piece).rpartition(b"\n")
                    if newline or len(rest) > MAX_LINE:
                        log(once.pass_on(lines + newline) if newline else rest)
                        rest = rest if newline else b""
        if rest:
            log(once.pass_on(rest + b"\n"))
        try:
            code = process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            return Ended("The build's program closed its output and did not end.")
        if code == 0:
            return Ended("")
        reason = explain(tail.decode("utf-8", "replace"), code, step_memory_gb)
        return Ended(reason.text, reason.again)
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
