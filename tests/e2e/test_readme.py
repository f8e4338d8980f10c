"""README's commands on a bare host of the rig's Internet, in their order: each works as it is printed."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest
import yaml

from tests.e2e.test_from_the_internet import Scene, on_a_bare_host
from tests.places import ROOT

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(2400)]
HOST = "host.example"
COMMAND = re.compile(rf"`?(binderbox [a-z-]+(?: [a-z]+)? {re.escape(HOST)}[^`\n]*)")
# What a command needs that no rig has.
NOT_HERE = {
    "launch host.example https://github.com/": "a repository of github.com; the sample is launched in its place",
    "federation check": "mybinder.org and its members: tests/e2e/test_federation_check.py",
    "federation join": "a checkout of the deployment repository: tests/e2e/test_federation_join.py",
    "install host.example --bundle": "a bundle: tests/e2e/test_own_bundle.py",
}


def commands() -> list[str]:
    return [found[1].strip() for found in COMMAND.finditer((ROOT / "README.md").read_text())]


@pytest.fixture(scope="module")
def scene(rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with on_a_bare_host("readme", tmp_path_factory, pinned=False) as scene:
        yield scene


def run(scene: Scene, command: str) -> None:
    words = [
        *scene.client.elsewhere(),
        "sh",
        "-c",
        f'PATH="$1:$PATH"; {command}',
        "sh",
        str(ROOT / ".venv/bin"),
    ]
    environment = scene.client.environment(scene.host)
    environment |= {"BINDERBOX_YES": "1", "BINDERBOX_VERSIONS": str(scene.versions)}
    done = subprocess.run(
        words,
        cwd=scene.client.home,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    print(f"{command}\n{done.stdout[-300:]}", flush=True)


def complete(scene: Scene) -> None:
    """What a site of the rig's has to say beside what init wrote."""
    scene.configure()
    site = yaml.safe_load((scene.client.home / "member.yaml").read_text())
    path = scene.client.home / f"{scene.host.alias}.yaml"
    written = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**site, **written, "domain": site["domain"], "tls": "own-ca"}))


def test_every_command_works_as_printed(scene: Scene) -> None:
    (scene.client.home / "secret.txt").write_text("not a real one\n")
    ran = []
    # the table has the one that ends it all last
    for command in commands():
        if any(command.removeprefix("binderbox ").startswith(one) for one in NOT_HERE):
            continue
        here = command.replace(HOST, shlex.quote(scene.host.alias))
        run(scene, here)
        ran.append(command.split()[1])
        if ran[-1] == "init":
            complete(scene)
        if ran[-1] == "install":
            run(scene, f"binderbox launch {scene.host.alias} --stop")  # a drain waits for those who are on it
    assert ran[:2] == ["init", "install"]
    assert {"check", "plan", "artifacts", "status", "drain", "resume", "secrets", "uninstall"} <= set(ran)


def test_what_is_left_out_stands_there() -> None:
    assert all(any(one in command for command in commands()) for one in NOT_HERE)
