"""The federation's settings against its real values: nothing forgotten, nothing stale, each deviation with a reason."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from binderbox.decide.profile import NOT_FOLLOWED, SETTINGS, Setting, settings
from tests.places import UPSTREAM

UPSTREAM = UPSTREAM / "mybinder.org-deploy" / "mybinder" / "values.yaml"
# The parts of mybinder's chart that decide how a launch behaves; others are monitoring, redirector and the like.
FOLLOWED_PARTS = ("binderhub", "etcJupyter", "traefik.ports", "traefik.providers.file")
OWN_PORTS = ("traefik.ports.web", "traefik.ports.websecure.port", "traefik.providers.file.enabled",
             "traefik.providers.file.content.http.middlewares.harbor")  # fmt: skip


@pytest.fixture(scope="module")
def upstream() -> dict[str, Any]:
    if not UPSTREAM.exists():
        pytest.skip(f"mybinder's values are not at {UPSTREAM}")
    loaded: dict[str, Any] = yaml.safe_load(UPSTREAM.read_text())
    return loaded


def at(tree: Any, path: str) -> Any:
    for key in re.split(r"(?<!\\)\.", path):
        tree = tree[key.replace("\\.", ".")]
    return tree


def leaves(tree: Any, path: str) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, f"{path}.{key.replace('.', chr(92) + '.')}")
    else:
        yield path


def covered(path: str, by: str) -> bool:
    return path == by or path.startswith(f"{by}.")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.upstream)
def test_setting_is_the_federations_or_says_why_not(setting: Setting, upstream: dict[str, Any]) -> None:
    theirs = at(upstream, setting.upstream)
    if setting.says:
        assert setting.says in theirs
    elif setting.deviation:
        assert theirs != setting.value, "no deviation any more: take the reason away"
    else:
        assert theirs == setting.value


def test_every_setting_of_the_federation_is_followed_or_left_out_with_a_reason(
    upstream: dict[str, Any],
) -> None:
    known = [setting.upstream for setting in SETTINGS] + list(NOT_FOLLOWED) + list(OWN_PORTS)
    forgotten = [
        leaf
        for part in FOLLOWED_PARTS
        for leaf in leaves(at(upstream, part), part)
        if not any(covered(leaf, path) for path in known)
    ]
    assert forgotten == []


def test_nothing_is_left_out_that_is_not_there(upstream: dict[str, Any]) -> None:
    for path, reason in NOT_FOLLOWED.items():
        at(upstream, path)
        assert len(reason) > 10, path


def test_nothing_is_both_followed_and_left_out() -> None:
    followed = [setting.upstream for setting in SETTINGS]
    assert [path for path in followed for out in NOT_FOLLOWED if covered(path, out)] == []


def test_settings_are_fresh_each_time() -> None:
    settings("binderhub")["jupyterhub"]["cull"]["timeout"] = 0
    settings("binderhub")["config"]["KubernetesBuildExecutor"]["repo2docker_extra_args"].append("x")
    again = settings("binderhub")
    assert again["jupyterhub"]["cull"]["timeout"] == 600
    assert "x" not in again["config"]["KubernetesBuildExecutor"]["repo2docker_extra_args"]
