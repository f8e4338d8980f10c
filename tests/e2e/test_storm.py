"""Thirty people at once on a small machine: each gets one notebook, and none is sent away."""

from __future__ import annotations

import threading

import pytest

from tests.conftest import Installed
from tests.e2e.federated import end_sessions, serve_busy_repository
from tests.e2e.storm import LAUNCHES, crowd, storm
from tests.e2e.visitors import Visitors

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(1500)]
BUILD_S = 30


@pytest.mark.parametrize("building", [False, True], ids=["alone", "beside builds"])
def test_every_launch_becomes_one_notebook(installed_host: Installed, building: bool) -> None:
    host = installed_host.host
    end_sessions(host)
    with crowd(host) as visitors:
        beside = []
        if building:
            first = visitors[0]
            for name in ("storm-a", "storm-b"):
                url = serve_busy_repository(host, name, BUILD_S)
                slow = Visitors(first.binder_url, first.address, first.ca_pem, url)
                beside.append(threading.Thread(target=slow.once, daemon=True))
                beside[-1].start()
        found = storm(host, visitors)
        for one in beside:
            one.join(300)
    print(f"median {found.at(50)} s, 95 % within {found.at(95)} s")
    assert found.failed == ()
    assert len(found.seconds) == LAUNCHES
    assert found.servers == LAUNCHES + len(beside)
    assert found.refused == 0
