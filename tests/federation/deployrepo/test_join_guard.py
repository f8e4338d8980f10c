"""Who may not join: what the repository deploys itself, the federation, and members under another address."""

from __future__ import annotations

import pytest

from binderbox.errors import DeployRepoError, UsageError
from binderbox.federation.deployrepo.edits import join, make_newcomer
from binderbox.federation.deployrepo.mentions import Line
from binderbox.federation.deployrepo.tree import CHART, CONFIG, VALUES, DeployTree, make_tree

# in the form of the real files; the first member is the prime, and all but `far` are deployed from the repository
PROD = """\
federationRedirect:
  enabled: true
  host: mybinder.org
  hosts:
    box-2i2c:
      prime: true
      url: https://2i2c.mybinder.example
      weight: 50
      health: https://2i2c.mybinder.example/health
      versions: https://2i2c.mybinder.example/versions
    bids-box:
      prime: false
      url: https://bids.mybinder.example
      weight: 50
      health: https://bids.mybinder.example/health
      versions: https://bids.mybinder.example/versions
    # registered member, run by Somebody: not deployed from here
    far:
      prime: false
      url: https://far.example.org/binder
      weight: 5
      health: https://far.example.org/binder/health
      versions: https://far.example.org/binder/versions
ingress:
  hosts:
    - hub.mybinder.example
binderhub:
  config:
    BinderHub:
      hub_url: https://hub.gke.mybinder.example
  ingress:
    hosts: [gke.mybinder.example]
"""
VALUES_TEXT = "federationRedirect:\n  host: mybinder.org\n  hosts: {}\n"
NAMES = frozenset(
    {CONFIG, VALUES, CHART, "config/box-2i2c.yaml", "config/bids-box.yaml", "config/staging.yaml", "config/localhost.yaml"}
)  # fmt: skip


@pytest.fixture
def tree() -> DeployTree:
    files = {CONFIG: PROD.encode(), VALUES: VALUES_TEXT.encode(), CHART: b"name: mybinder\n"}
    return make_tree(files, NAMES)


@pytest.mark.parametrize("name", ["staging", "prod", "localhost"])
def test_a_name_of_a_release_is_refused(tree: DeployTree, name: str) -> None:
    with pytest.raises(DeployRepoError, match=f"config/{name}.yaml"):
        join(tree, make_newcomer(name, "https://new.example.org"))


@pytest.mark.parametrize(
    "url",
    [
        "https://bids.mybinder.example",
        "https://bids.mybinder.example:443",
        "https://bids.mybinder.example.",
        "https://BIDS.mybinder.example",
        "https://2i2c.mybinder.example/binder",
        "https://far.example.org/binder",
        "https://far.example.org:443/binder/",
        "https://far.example.org/x/../binder",
        "https://far.example.org/x/%2E%2e/binder",
    ],
)
def test_a_member_under_another_name_or_address_is_refused(tree: DeployTree, url: str) -> None:
    with pytest.raises(DeployRepoError, match="nothing was written"):
        join(tree, make_newcomer("new", url))


@pytest.mark.parametrize(
    "url",
    [
        "https://mybinder.org",
        "https://www.mybinder.org",
        "https://MYBINDER.org:443/x",
        "https://hub.mybinder.example",
        "https://gke.mybinder.example",
        "https://hub.gke.mybinder.example",
    ],
)
def test_the_federations_own_addresses_are_refused(tree: DeployTree, url: str) -> None:
    with pytest.raises(DeployRepoError, match="nothing was written"):
        join(tree, make_newcomer("new", url))


def test_a_member_that_is_deployed_from_here_is_not_registered_again(tree: DeployTree) -> None:
    with pytest.raises(DeployRepoError, match="deployed from this repository"):
        join(tree, make_newcomer("bids-box", "https://bids.mybinder.example"))
    with pytest.raises(DeployRepoError, match="deployed from this repository"):
        join(tree, make_newcomer("box-2i2c", "https://2i2c.mybinder.example"))


@pytest.mark.parametrize(
    "url", ["https://new.example.org", "https://far.example.org", "https://far.example.org/binder2", "https://far.example.org:8443/binder"]
)  # fmt: skip
def test_others_may(tree: DeployTree, url: str) -> None:
    assert CONFIG in join(tree, make_newcomer("new", url)).files


def test_a_registered_member_joins_again_without_a_change(tree: DeployTree) -> None:
    assert CONFIG not in join(tree, make_newcomer("far", "https://far.example.org/binder")).files


def test_an_address_without_a_host_is_a_fault_of_the_file_with_its_line() -> None:
    text = PROD.replace("url: https://bids.mybinder.example\n", "url: https://x:99999\n")
    files = {CONFIG: text.encode(), VALUES: VALUES_TEXT.encode(), CHART: b"name: mybinder\n"}
    with pytest.raises(
        DeployRepoError, match=r"config/prod.yaml:13: .*expected an address, found 'https://x:99999'"
    ):
        join(make_tree(files, NAMES), make_newcomer("new", "https://new.example.org"))


@pytest.mark.parametrize(
    "url", ["https://me@new.example.org", "https://new.example.org/#x", "https://new.example.org/?a=b"]
)
def test_an_address_with_more_in_it_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        make_newcomer("new", url)


def test_an_address_is_written_as_a_browser_writes_it() -> None:
    assert (
        make_newcomer("new", "HTTPS://Binder.Example.ORG:443/a/../b/").url == "https://binder.example.org/b"
    )
    assert make_newcomer("new", "https://b\u00fccher.example.org").url == "https://xn--bcher-kva.example.org"


def test_a_host_of_another_release_is_refused(tree: DeployTree) -> None:
    found = (
        Line("config/staging.yaml", 4, "      - staging.mybinder.example"),
        Line("docs/x.md", 1, "new.example.org"),
    )
    with pytest.raises(DeployRepoError, match=r"config/staging.yaml:4"):
        join(tree, make_newcomer("new", "https://staging.mybinder.example"), found)
    join(tree, make_newcomer("new", "https://new.example.org"), found)
    join(tree, make_newcomer("new", "https://a.staging.mybinder.example"), found)
