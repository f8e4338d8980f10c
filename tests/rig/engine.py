"""The container engine that rig hosts run in: the machine's own if there is one, else one of ours.

Ours is a dockerd with a socket, bridge, addresses and files of its own. It writes no iptables rules: one
nftables table does the masquerading, so that stopping it leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rig.cache import cache_home

RUN = Path("/run/binderbox-rig")  # sockets live here: a unix socket's path may not exceed 107 bytes
SOCKET = RUN / "docker.sock"
PID_FILE = RUN / "dockerd.pid"
FORWARD_BEFORE = RUN / "ip_forward"
HOST_URL = f"unix://{SOCKET}"
BRIDGE = "bbxrig0"
ADDRESSES = "10.213.0.0/16"  # every address the engine gives out; clear of binderbox's 10.42 to 10.44
BRIDGE_ADDRESS = "10.213.0.1/24"
NETWORK_POOL = "base=10.213.128.0/17,size=24"
TABLE = "bbxrig"
PACKAGES = {  # command: Debian package
    "dockerd": "docker.io",
    "docker": "docker.io",
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "nft": "nftables",
    "ip": "iproute2",
    "debootstrap": "debootstrap",
    "ssh": "openssh-client",
    "xz": "xz-utils",
    "zstd": "zstd",
}
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
CAP_SYS_RESOURCE = 24


class NoEngine(Exception):
    """No container engine can be had here; the text says why and what to do."""


def ensure_engine() -> dict[str, str]:
    """Return the environment under which `docker` reaches an engine, starting one of ours if needed."""
    if _answers({}):
        return {}
    ours = {"DOCKER_HOST": HOST_URL}
    if _answers(ours):
        return ours
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise NoEngine(
            "`docker info` gets no answer, and an engine of our own needs root on Debian. "
            "Start docker, or run this as root."
        )
    with _lock():
        if _answers(ours):  # another process started it while this one waited
            return ours
        if _install_missing() and _answers({}):  # the package may have started the machine's own
            return {}
        _start()
    return ours


def stop_engine(*, force: bool = False) -> bool:
    """Stop our engine and remove what it left. The machine's own engine is never touched.

    While containers are left in ours it goes on running, unless forced; then they go with it.
    Returns whether ours is stopped.
    """
    if not RUN.exists():
        return True
    with _lock():
        env = {"DOCKER_HOST": HOST_URL}
        if _answers(env):
            if docker("ps", "--all", "--quiet", env=env) and not force:
                return False
            if left := docker("ps", "--all", "--quiet", env=env).split():
                docker("rm", "--force", "--volumes", *left, env=env)
            docker("network", "prune", "--force", env=env)
            _remove_left_volumes()
        _stop_process()
        _remove_network()
        _unmount_below(RUN)
        shutil.rmtree(RUN, ignore_errors=True)
    return True


def docker(*args: str, env: dict[str, str] | None = None, stdin: bytes | None = None) -> str:
    """Run one docker command and return its stdout; its stderr is in the error if it fails."""
    environment = os.environ | (ensure_engine() if env is None else env)
    done = subprocess.run(["docker", *args], env=environment, input=stdin, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"docker {' '.join(args)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace").strip()


def engine_runs() -> bool:
    """Whether an engine answers already: the machine's own, or ours."""
    return _answers({}) or _answers({"DOCKER_HOST": HOST_URL})


def is_ours(env: dict[str, str]) -> bool:
    return env.get("DOCKER_HOST") == HOST_URL


def lacks_sys_resource() -> bool:
    """Whether this process, and so every container below it, cannot have CAP_SYS_RESOURCE."""
    status = Path("/proc/self/status").read_text()
    bounding = next(line for line in status.splitlines() if line.startswith("CapBnd:")).split()[1]
    return not int(bounding, 16) >> CAP_SYS_RESOURCE & 1


def _answers(env: dict[str, str]) -> bool:
    command = ["docker", "info", "--format", "{{.ServerVersion}}"]
    try:
        done = subprocess.run(command, env=os.environ | env, capture_output=True, timeout=20, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and bool(done.stdout.strip())  # without a server the client exits 0 on some


def _install_missing() -> bool:
    packages = sorted({package for command, package in PACKAGES.items() if not shutil.which(command)})
    if not packages:
        return False
    _say(f"installing {' '.join(packages)}")
    apt = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run(["apt-get", *command], env=apt, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NoEngine(f"apt-get {' '.join(command)} failed:\n{done.stderr.strip()}")
    return True


def _start() -> None:
    _stop_process()  # one that runs and does not answer
    _say("starting a container engine for the rig")
    home = cache_home() / "engine"
    home.mkdir(parents=True, exist_ok=True)
    _add_network()
    config = RUN / "daemon.json"  # named, so that the machine's own settings are not read
    config.write_text(json.dumps(_settings(home)))
    with (home / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(
            ["dockerd", "--config-file", str(config)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
        )  # fmt: skip
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _answers({"DOCKER_HOST": HOST_URL}):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(Path(log.name).read_text(errors="replace").splitlines()[-15:])
            raise NoEngine(f"dockerd did not come up; the end of {log.name}:\n{tail}")
        time.sleep(0.2)
    _remove_left_volumes()


def _remove_left_volumes() -> None:
    """A run that is killed leaves its hosts' volumes, 2 GB for each; what no container has is nobody's."""
    ours = {"DOCKER_HOST": HOST_URL}
    if left := docker("volume", "ls", "--quiet", "--filter", "dangling=true", env=ours).split():
        docker("volume", "rm", "--force", *left, env=ours)


def _settings(home: Path) -> dict[str, object]:
    base, size = (part.partition("=")[2] for part in NETWORK_POOL.split(","))
    settings: dict[str, object] = {
        "hosts": [HOST_URL],
        "pidfile": str(PID_FILE),
        "data-root": str(home / "data"),
        "exec-root": str(RUN / "exec"),
        "bridge": BRIDGE,
        "default-address-pools": [{"base": base, "size": int(size)}],
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "ip-masq": False,
        "log-level": "warn",
    }
    if lacks_sys_resource():
        from tests.rig.binaries import runcwrap

        settings["runtimes"] = {"runcwrap": {"path": str(runcwrap())}}
        settings["default-runtime"] = "runcwrap"
    return settings


def _stop_process() -> None:
    try:
        pid = int(PID_FILE.read_text())
        ours = str(RUN) in Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return
    if not ours:  # the number was given to another process since
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while _runs(pid):
        if time.monotonic() > deadline:
            raise RuntimeError(f"dockerd (process {pid}) did not end within {STOP_TIMEOUT_S} s")
        time.sleep(0.1)


def _runs(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):  # a child of ours stays in the table until it is waited for
        os.waitpid(pid, os.WNOHANG)
    return Path(f"/proc/{pid}").exists()


def _add_network() -> None:
    forward = Path("/proc/sys/net/ipv4/ip_forward")
    if not FORWARD_BEFORE.exists():
        FORWARD_BEFORE.write_text(forward.read_text())
    forward.write_text("1")
    if not Path(f"/sys/class/net/{BRIDGE}").exists():
        _run("ip", "link", "add", BRIDGE, "type", "bridge")
        _run("ip", "address", "add", BRIDGE_ADDRESS, "dev", BRIDGE)
    _run("ip", "link", "set", BRIDGE, "up")
    rules = f"""
        table ip {TABLE}
        delete table ip {TABLE}
        table ip {TABLE} {{
            chain postrouting {{
                type nat hook postrouting priority srcnat;
                ip saddr {ADDRESSES} ip daddr != {ADDRESSES} masquerade
            }}
            chain forward {{
                type filter hook forward priority mangle;
                ip saddr {ADDRESSES} tcp flags syn tcp option maxseg size set rt mtu
                ip daddr {ADDRESSES} tcp flags syn tcp option maxseg size set rt mtu
            }}
        }}
    """
    _run("nft", "-f", "-", stdin=rules)


def _remove_network() -> None:
    _run("nft", "-f", "-", stdin=f"table ip {TABLE}\ndelete table ip {TABLE}\n")
    if Path(f"/sys/class/net/{BRIDGE}").exists():
        _run("ip", "link", "delete", BRIDGE)
    if FORWARD_BEFORE.exists():
        Path("/proc/sys/net/ipv4/ip_forward").write_text(FORWARD_BEFORE.read_text())


def _unmount_below(root: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{root}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)


def _run(*command: str, stdin: str | None = None) -> None:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoEngine(f"{' '.join(command)}: {done.stderr.strip()}")


@contextmanager
def _lock() -> Iterator[None]:
    RUN.mkdir(parents=True, exist_ok=True)
    with (RUN.parent / f".{RUN.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        RUN.mkdir(parents=True, exist_ok=True)
        yield


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
