"""The federation's settings as they were when binderbox was released, and as they may become."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from binderbox.decide.profile import Setting
from binderbox.federation.following.drift import drift
from tests.places import UPSTREAM

UPSTREAM = UPSTREAM / "mybinder.org-deploy" / "mybinder" / "values.yaml"
SETTINGS = (
    Setting("a", 600, "binderhub.jupyterhub.cull.timeout"),
    Setting("b", {"x": 1}, r"etcJupyter.jupyter_server_config\.json"),
    Setting("c", "Never", "binderhub.extraConfig.neverRestart", says="'restart_policy': 'Never'"),
    Setting("d", 1, "binderhub.replicas", deviation="one machine"),
)


def values() -> dict[str, Any]:
    return {
        "binderhub": {
            "jupyterhub": {"cull": {"timeout": 600}},
            "extraConfig": {"neverRestart": "pod.update({'restart_policy': 'Never'})"},
            "replicas": 2,
        },
        "etcJupyter": {"jupyter_server_config.json": {"x": 1}},
    }


def test_nothing_moved() -> None:
    assert drift(values(), SETTINGS) == ()


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("binderhub.jupyterhub.cull.timeout", 900, "ours is 600, the federation's is 900"),
        ("binderhub.jupyterhub.cull", None, "is gone"),
        ("etcJupyter", {}, "is gone"),
        ("binderhub.extraConfig.neverRestart", "pass", "does not say"),
        ("binderhub.extraConfig.neverRestart", None, "does not say"),
    ],
)
def test_what_moved_is_told_once(path: str, value: Any, told: str) -> None:
    tree = values()
    *parents, last = path.split(".")
    place = tree
    for key in parents:
        place = place[key]
    place[last] = value
    (line,) = drift(tree, SETTINGS)
    assert told in line


def test_a_deviation_of_ours_is_no_drift() -> None:
    tree = values()
    tree["binderhub"]["replicas"] = 7
    assert drift(tree, SETTINGS) == ()


@pytest.mark.parametrize("broken", [None, [], "text", {"binderhub": None}])
def test_any_values_can_be_compared(broken: Any) -> None:
    assert len(drift(broken, SETTINGS)) == 3


def test_the_real_values_have_not_moved_from_this_release() -> None:
    if not UPSTREAM.exists():
        pytest.skip(f"mybinder's values are not at {UPSTREAM}")
    assert drift(yaml.safe_load(UPSTREAM.read_text())) == ()
