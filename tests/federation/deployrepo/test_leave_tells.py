"""What is left to do by hand when a member leaves: exactly its own files, and every line that names it."""

from __future__ import annotations

import pytest

from binderbox.federation.deployrepo.change import Change
from binderbox.federation.deployrepo.edits import join, leave, make_newcomer
from binderbox.federation.deployrepo.mentions import Line
from binderbox.federation.deployrepo.texts import join_steps
from binderbox.federation.deployrepo.tree import CHART, CONFIG, VALUES, DeployTree, make_tree

PROD = """\
federationRedirect:
  enabled: true
  hosts:
    box:
      prime: false
      url: https://box.mybinder.example
      weight: 50
      health: https://box.mybinder.example/health
      versions: https://box.mybinder.example/versions
    box-bare:
      prime: true
      url: https://bare.mybinder.example
      weight: 50
      health: https://bare.mybinder.example/health
      versions: https://bare.mybinder.example/versions
    gke:
      prime: false
      url: https://gke.mybinder.example
      weight: 1
      health: https://gke.mybinder.example/health
      versions: https://gke.mybinder.example/versions
"""
TEXTS = {
    "config/box.yaml": "binderhub:\n  ingress:\n    hosts: [box.mybinder.example]\n",
    "config/staging.yaml": "image_prefix: registry.box.mybinder.example/r2d-\n",
    "deploy.py": "CLUSTERS = [\n    'box',\n    'box-bare',\n]\n",
    "scripts/fetch.py": "# of box-bare\nHOSTS = {'box': 1}\n",
    "mailbox.txt": "boxes inbox my-box box2\n",
}
NAMES = frozenset(
    {CONFIG, VALUES, CHART, *TEXTS, "config/box-bare.yaml", "secrets/box.key", "secrets/box-kubeconfig.yaml",
     "secrets/box-bare.key", "secrets/box-bare-kubeconfig.yaml", "secrets/config/box.yaml",
     "secrets/gke-auth-key-prod.json", "terraform/box/main.tf", "config/prod.yaml"}
)  # fmt: skip


@pytest.fixture
def tree() -> DeployTree:
    files = {CONFIG: PROD.encode(), VALUES: b"federationRedirect:\n  hosts: {}\n", CHART: b"name: mybinder\n"}
    return make_tree(files, NAMES)


def lines(name: str) -> tuple[Line, ...]:
    """As a grep for the name would find them."""
    rows = ((path, n, row) for path, text in TEXTS.items() for n, row in enumerate(text.splitlines(), 1))
    return tuple(Line(*row) for row in rows if name in row[2])


def notes(change: Change, what: str) -> str:
    return next((step.note for step in change.steps if step.what.startswith(what)), "")


def test_files_of_a_longer_name_are_another_members(tree: DeployTree) -> None:
    told = notes(leave(tree, "box", "", lines("box")), "its deployment from this repository")
    assert "config/box.yaml" in told
    assert "secrets/box.key" in told
    assert "secrets/box-kubeconfig.yaml" in told
    assert "secrets/config/box.yaml" in told
    assert "box-bare" not in told


def test_a_key_of_another_release_is_not_listed(tree: DeployTree) -> None:
    assert "secrets/gke-auth-key-prod.json" not in str(leave(tree, "gke").steps)


def test_a_member_of_ours_has_nothing_deployed_here(tree: DeployTree) -> None:
    joined = join(tree, make_newcomer("bo", "https://bo.example.org"))
    left = leave(tree.with_files(joined.files), "bo", "", lines("bo"))
    assert notes(left, "its deployment") == ""
    assert notes(left, "lines that name it") == ""


def test_every_line_that_names_it_is_told(tree: DeployTree) -> None:
    told = notes(leave(tree, "box", "", lines("box")), "lines that name it")
    assert told.split(": ")[1].split(", ") == [
        "config/staging.yaml:1",
        "deploy.py:2",
        "scripts/fetch.py:2",
    ]


def test_who_joins_is_told_of_lines_that_have_its_name(tree: DeployTree) -> None:
    member = make_newcomer("office", "https://office.example.org")
    found = (Line("scripts/old.py", 3, "'office'"),)
    assert notes(join(tree, member, found), "lines that have its name already").endswith(": scripts/old.py:3")


def test_who_joins_is_told_what_the_guide_asks_for(tree: DeployTree) -> None:
    member = make_newcomer("new", "https://new.example.org")
    steps = [step.what for step in join_steps(member, join(tree, member), "HOST", None, None)]
    assert any("events archive" in what for what in steps)
    assert any("Grafana" in what for what in steps)
