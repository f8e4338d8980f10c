"""Kinds of repositories that people bring, launched by BinderHub's double on a real node: each starts, or says why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from binderbox import layout
from binderbox.errors import NoAnswer
from binderbox.launch.stream import Launch
from tests.conftest import Installed
from tests.e2e.federated import URL, authority, serve_files
from tests.e2e.visitors import Visitors
from tests.kinds.buildpacks import BUILDPACKS
from tests.kinds.conda import buildpack_deps
from tests.kinds.dockerfiles import DOCKERFILES
from tests.kinds.kind import Kind
from tests.rig.host import RigHost
from tests.rig.images import SAMPLE_BASE

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(900)]


@dataclass
class Read:
    """What a visitor has read, and which phases there were."""

    lines: list[str] = field(default_factory=list)
    phases: set[str] = field(default_factory=set)

    def __call__(self, state: Launch) -> None:
        self.lines += [line for line in state.lines if line not in self.lines]  # it keeps the last ones alone
        self.phases.add(state.phase)


@pytest.fixture(scope="module")
def host(installed_host: Installed) -> RigHost:
    """The base of repo2docker's Dockerfiles is on it, as the sample's is on every node."""
    host = installed_host.host
    archive: Path = buildpack_deps()
    host.exec(
        ["sh", "-c", f"cat >/tmp/base.tar && {layout.K3S} ctr -n k8s.io images import /tmp/base.tar && rm /tmp/base.tar"],
        stdin=archive.read_bytes(),
        timeout_s=300,
    )  # fmt: skip
    return host


def serve(host: RigHost, name: str, files: Mapping[str, str], prepare: str = "") -> str:
    """The git URL, for pods of this host; a file of the moment stands for what the last commit adds."""
    texts = {file: text.replace("{base}", SAMPLE_BASE) for file, text in files.items()}
    return serve_files(host, name, texts, f"{prepare}\ndate +%N >last")


def put(host: RigHost, kind: Kind) -> tuple[str, str]:
    """(URL, ref) of the repository as the node serves it."""
    beside = serve(host, f"{kind.name}-beside", kind.beside) if kind.beside else ""
    url = serve(host, kind.name, kind.files, kind.prepare.replace("{beside}", beside))
    directory = f"{layout.RUN}/samples/{kind.name}"
    first = host.exec(["git", "-C", directory, "rev-list", "--max-parents=0", "main"]).strip()
    return url, kind.ref.replace("{short}", first[:7])


@pytest.mark.parametrize("kind", [*DOCKERFILES, *BUILDPACKS], ids=lambda kind: kind.name)
def test_it_starts_or_says_why_not(host: RigHost, kind: Kind) -> None:
    url, ref = put(host, kind)
    visitors, read = Visitors(URL, host.address, authority(host), url, ref), Read()
    try:
        if kind.fails:
            with pytest.raises(NoAnswer) as refused:
                visitors.once(read)
            assert kind.says in "\n".join([*read.lines, str(refused.value)])
            return
        launched = visitors.once(read)
        assert launched.ready
        assert kind.says in "\n".join(read.lines)
        again = Read()
        visitors.once(again)
        assert "building" not in again.phases, "an image that is on the node is launched as it is"
    finally:
        visitors.web.close()
