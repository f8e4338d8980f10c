"""The rig's object store on loopback, set up as the chart sets it up."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minio.error import S3Error
from urllib3.exceptions import HTTPError

from binderbox.parts.objectstore.values import STALE_UPLOADS_EXPIRY
from binderbox.world.s3 import store
from binderbox.world.s3.store import Key, Store
from tests.rig import binaries


@contextmanager
def running_store(where: Path, root: Key) -> Iterator[Store]:
    """A server with its data below `where`; it ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = {
        "MINIO_ROOT_USER": root.access,
        "MINIO_ROOT_PASSWORD": root.secret,
        "MINIO_API_STALE_UPLOADS_EXPIRY": STALE_UPLOADS_EXPIRY,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
    }
    arguments = ["server", f"--address={address}", f"--certs-dir={where / 'certs'}", str(where / "data")]
    command = [str(binaries.minio()), *arguments]
    with (where / "log").open("w") as log:
        process = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log)
    there = store.connect(address, root)
    try:
        _wait(there, process, where / "log")
        yield there
    finally:
        process.terminate()
        process.wait(15)


def _wait(there: Store, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            there.s3.list_buckets()
            return
        except (HTTPError, OSError, S3Error):
            time.sleep(0.2)
    raise AssertionError(log.read_text())
