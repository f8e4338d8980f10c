"""Addresses of this machine at which tests have an Internet each, as they may run side by side."""

from __future__ import annotations

import os


def of_worker(network: str) -> str:
    """One of `127.0.x` for each worker of pytest, for what several modules share."""
    return f"{network}.{1 + int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))}"
