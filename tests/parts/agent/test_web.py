"""What the follower accepts from the network, asked of real servers."""

from __future__ import annotations

import time

import pytest

from binderbox.errors import NoAnswer
from binderbox.parts.agent.jobs.web import fetch, fetch_json
from tests.federation.prime import VERSIONS, Prime


def test_the_primes_versions() -> None:
    with Prime() as prime:
        assert fetch_json(f"{prime.url}/versions") == VERSIONS


def test_html_is_no_answer() -> None:
    with Prime() as prime:
        prime.page["/versions"] = "<html>"
        with pytest.raises(NoAnswer, match="no JSON"):
            fetch_json(f"{prime.url}/versions")


def test_too_much_is_no_answer() -> None:
    with Prime() as prime:
        prime.page["/versions"] = "x" * 2_000_000
        with pytest.raises(NoAnswer, match="more than 1 MB"):
            fetch(f"{prime.url}/versions")
        assert len(fetch(f"{prime.url}/versions", limit_mb=4)) == 2_000_000


def test_a_slow_one_is_given_up_in_time() -> None:
    with Prime() as prime:
        prime.delay_s = 5
        started = time.monotonic()
        with pytest.raises(NoAnswer, match="timed out"):
            fetch(f"{prime.url}/versions", timeout_s=0.5)
        assert time.monotonic() - started < 3


def test_nobody_there() -> None:
    with Prime() as prime:
        url = prime.url
    with pytest.raises(NoAnswer, match="refused"):
        fetch(url)


def test_an_error_is_told_by_its_status() -> None:
    with Prime() as prime:
        prime.health, prime.status = {}, 503
        with pytest.raises(NoAnswer, match="HTTP 503"):
            fetch(f"{prime.url}/health")
