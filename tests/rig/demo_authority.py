"""The ACME authority of `make demo TLS=acme`: a process that stays as long as the demo does, and its two certificates.

python -m tests.rig.demo_authority ADDRESS DIRECTORY
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.places import ROOT
from tests.rig.authority import Authority
from tests.rig.cache import cache_home
from tests.waiting import wait_until

START_S = 600  # Pebble is built at the first time


@dataclass(frozen=True)
class Vouching:
    """Options of `binderbox demo up`, and the root that a browser must trust."""

    options: tuple[str, ...]
    root: Path


def _home() -> Path:
    return cache_home() / "demo-authority"


def start(address: str) -> Vouching:
    """Have it run at an address that the demo host reaches; one that runs already is used again."""
    told = _home() / "told.json"
    if not _runs():
        _home().mkdir(parents=True, exist_ok=True)
        told.unlink(missing_ok=True)
        with (_home() / "log").open("wb") as log:
            words = [sys.executable, "-m", __name__, address, str(_home())]
            started = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        (_home() / "pid").write_text(str(started.pid))
        wait_until(lambda: told.exists() or started.poll() is not None, START_S, "the authority")
        if not told.exists():
            raise RuntimeError(f"the authority did not start:\n{(_home() / 'log').read_text()[-2000:]}")
    found = json.loads(told.read_text())
    root = _home() / "root.pem"
    allowed = f"{address}/32:{found['port']}"
    words = ["--acme-server", found["url"], "--egress-allow", allowed]
    return Vouching((*words, "--extra-ca", str(_home() / "ca.pem"), "--extra-ca", str(root)), root)


def stop() -> None:
    """End it, and forget its certificates."""
    if _runs():
        os.kill(int((_home() / "pid").read_text()), signal.SIGTERM)
    shutil.rmtree(_home(), ignore_errors=True)


def _runs() -> bool:
    try:
        words = Path("/proc", (_home() / "pid").read_text(), "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return __name__.encode() in words


def main(address: str, directory: Path) -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Authority(80, name=address, address=address) as asked:
        (directory / "ca.pem").write_text(asked.ca_pem)
        (directory / "root.pem").write_text(asked.root_pem())
        (directory / "told.json").write_text(json.dumps({"url": asked.url, "port": asked.port}))
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
