"""Steps are confined by AppArmor where a host has it; in force in tests/vm's stages."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import replace

import pytest

from binderbox import layout
from binderbox.checks.core import run_checks
from binderbox.deploys.builder import confined
from binderbox.parts.builder import confinement, units
from binderbox.parts.builder.checks import CHECKS
from binderbox.parts.builder.settings import render_buildkitd
from tests.checks.fakes import GOOD, FakeProbe
from tests.parts.builder.test_settings import INPUTS

KEY = "apparmor-profile"


def test_where_a_host_has_it_every_step_gets_the_profile_and_buildkitd_loads_it() -> None:
    inputs = replace(INPUTS, apparmor=True)
    assert tomllib.loads(render_buildkitd(inputs))["worker"]["containerd"][KEY] == layout.BUILDS_PROFILE
    (path,) = confined(inputs)
    before, there, _ = units.render_buildkitd_unit(inputs).partition("\nExecStart=")
    assert there
    assert before.endswith(f"ExecStartPre=/usr/sbin/apparmor_parser --replace --skip-cache {path}")


def test_where_it_has_none_nothing_asks_for_one() -> None:
    assert KEY not in render_buildkitd(INPUTS)
    assert "apparmor" not in units.render_buildkitd_unit(INPUTS)
    assert confined(INPUTS) == {}


def test_it_means_the_same_on_every_kernel() -> None:
    """Without an abi, `network` has no unix sockets where the kernel tells them apart."""
    rules = [line.strip() for line in confinement.render_profile().splitlines() if not line.startswith("#")]
    assert rules[0] == "abi <abi/3.0>,"


def test_apparmors_own_program_takes_it() -> None:
    if not shutil.which("apparmor_parser"):
        pytest.skip("apparmor_parser is not here: apt-get install apparmor")
    words = ["apparmor_parser", "--skip-kernel-load", "--skip-cache", "--names"]
    done = subprocess.run(words, input=confinement.render_profile(), capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, [layout.BUILDS_PROFILE]), done.stderr


@pytest.mark.parametrize(
    ("has", "profiles", "verdict"),
    [
        (True, {layout.BUILDS_PROFILE: "enforce"}, "pass"),
        (True, {layout.BUILDS_PROFILE: "complain"}, "fail"),
        (True, {}, "fail"),
        (False, {}, "skip"),
    ],
)
def test_a_check_says_whether_it_is_in_force(has: bool, profiles: Mapping[str, str], verdict: str) -> None:
    checks = [one for one in CHECKS if one.id == "BBX-B12"]
    (one,) = run_checks(checks, FakeProbe(facts=replace(GOOD, apparmor=has), loaded=profiles))
    assert one.verdict == verdict
    assert ("binderbox install" in one.fix) == (verdict == "fail")
