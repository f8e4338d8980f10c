"""Monitoring targets of registered members: where each answers its metrics, and no other member's."""

from __future__ import annotations

import pytest
import yaml

from binderbox.federation.deployrepo.edits import join, leave, make_newcomer
from binderbox.federation.deployrepo.tree import CONFIG, DeployTree, make_tree
from tests.federation.checkouts import FILES


@pytest.fixture
def tree() -> DeployTree:
    words = {"first": "https://first.example.org", "second": "https://second.example.org"}
    return make_tree({path: text.format(**words).encode() for path, text in FILES.items()})


def test_members_below_a_path_have_metrics_of_their_own(tree: DeployTree) -> None:
    """Two on one host, and one of the host itself: each is scraped where it is, and leaves alone."""
    urls = ("https://h.example.org/a", "https://h.example.org/b/c", "https://h.example.org")
    after = tree
    for number, url in enumerate(urls):
        after = after.with_files(join(after, make_newcomer(f"m{number}", url)).files)
    assert scraped(after) == {
        ("h.example.org", "/a/metrics"),
        ("h.example.org", "/b/c/metrics"),
        ("h.example.org", "/metrics"),
    }
    change = leave(after, "m0")
    after = after.with_files(change.files)
    assert scraped(after) == {("h.example.org", "/b/c/metrics"), ("h.example.org", "/metrics")}
    after = after.with_files(leave(after, "m2").files)
    assert scraped(after) == {("h.example.org", "/b/c/metrics")}
    after = after.with_files(leave(after, "m1").files)
    assert after.files == tree.files


def scraped(tree: DeployTree) -> set[tuple[str, str]]:
    """(host, path) of what Prometheus asks of registered members."""
    text = yaml.safe_load(tree.files[CONFIG])["prometheus"]["extraScrapeConfigs"]
    jobs = [one for one in yaml.safe_load(text) if one["job_name"].startswith("registered-members")]
    return {
        (target, one.get("metrics_path", "/metrics"))
        for one in jobs
        for target in one["static_configs"][0]["targets"]
    }
